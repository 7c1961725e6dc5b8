"""One prediction out of several judges': ridge regression of labels, fitted without the items that it predicts.

Each labelled item is predicted by slopes from the other folds, so no prediction knows the label it stands beside.
"""

from dataclasses import dataclass

import numpy as np

from judge.audit.table import Bools, Floats, Ints

FOLDS = 10
PENALTY = 2.0  # of the ridge: as if so many more items had been labelled that show no slope


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """How the n labelled items stand for all."""

    items: int
    pool_group: Ints  # (items,) strata numbered from 0
    group: Ints  # (n,)
    weight: Floats  # (n,) the human-only estimate is weight @ labels
    noise: Floats  # (n,) its variance is noise @ squared deviations within groups
    freedom: float

    def within(self, values: Floats) -> Floats:
        """Deviations from the group's weighted mean."""
        mean = np.bincount(self.group, self.weight * values) / np.bincount(self.group, self.weight)
        return values - mean[self.group]


def features_of(predictions: Floats, known: Bools) -> Floats:
    """(items, features): what each judge predicts, and whether it does, at mean 0 and spread 1 over all items.

    A missing prediction stands at its judge's mean, so that what its absence says is left to the other column.
    """
    count = known.sum(axis=0)
    mean = np.where(known, predictions, 0.0).sum(axis=0) / np.maximum(count, 1)
    value = np.where(known, predictions - mean, 0.0)
    partly = (count > 0) & (count < len(known))
    columns = np.concatenate([value, known[:, partly] - known[:, partly].mean(axis=0)], axis=1)
    spread = np.sqrt((columns**2).mean(axis=0))
    features: Floats = columns / np.where(spread > 0.0, spread, 1.0)
    return features


def crossfit(drawn: Drawn, labels: Floats, features: Floats, labelled: Ints, seed: int) -> tuple[Floats, float]:
    """Predictions of the labelled items by slopes fitted without them, and how far the mean of all is from theirs.

    An item without a label is predicted by the mean of all folds' slopes. So each fold's slopes weigh as much
    among the labelled items as among all, and whatever they are, the estimate stays unbiased.
    """
    group, groups = drawn.group, int(drawn.pool_group.max()) + 1
    centre = _sums(drawn.pool_group, features, groups) / np.bincount(drawn.pool_group)[:, None]
    x = features[labelled] - centre[group]
    fold = random_folds(group, seed)
    slopes = ridge_slopes(x, labels, group, fold)[fold]
    predicted = (x * slopes).sum(axis=1)
    mean_slopes = _sums(group, slopes * drawn.weight[:, None], groups) / np.bincount(group, drawn.weight)[:, None]
    # Features of all items sum to 0 within a group: those without a label to the opposite of those with one.
    unlabelled = -(_sums(group, x, groups) * mean_slopes).sum()
    return predicted, float((predicted.sum() + unlabelled) / drawn.items - drawn.weight @ predicted)


def random_folds(group: Ints, seed: int) -> Ints:
    """A random fold for each labelled item: folds of one size, and nearly so within each group."""
    order = np.random.default_rng(seed).permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    fold = np.empty(len(group), dtype=np.int64)
    fold[order] = np.arange(len(group)) % FOLDS
    return fold


def ridge_slopes(x: Floats, labels: Floats, group: Ints, fold: Ints) -> Floats:
    """(folds, features): ridge regression within groups, each fold's on the items of all others."""
    columns = np.concatenate([x, labels[:, None]], axis=1)
    folds, groups, width = int(fold.max()) + 1, int(group.max()) + 1, columns.shape[1]
    cell = fold * groups + group
    count = np.bincount(cell, minlength=folds * groups).reshape(folds, groups, 1)
    sums = _sums(cell, columns, folds * groups).reshape(folds, groups, width)
    squares = np.stack([columns[fold == k].T @ columns[fold == k] for k in range(folds)])
    count, sums, squares = count.sum(axis=0) - count, sums.sum(axis=0) - sums, squares.sum(axis=0) - squares
    products = squares - np.einsum("kgi,kgj->kij", sums / np.maximum(count, 1), sums)
    slopes: Floats = np.linalg.solve(products[:, :-1, :-1] + PENALTY * np.eye(width - 1), products[:, :-1, -1:])[..., 0]
    return slopes


def _sums(index: Ints, columns: Floats, length: int) -> Floats:
    """(length, columns): the rows added up by index."""
    return np.stack([np.bincount(index, column, minlength=length) for column in columns.T], axis=1)
