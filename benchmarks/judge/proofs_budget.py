"""How many labels are needed with judges and without, and what it brings to draw them where judges leave most open."""

import numpy as np
from proofs_estimates import by, gathered, over_draws
from sets import of_arena, of_xstest
from tables import Proof, Row, figure, share

from judge.audit.budget import labels_needed, propose
from judge.audit.powered import draws
from judge.audit.ppi import estimate_mean
from judge.audit.reliability import outcomes

DRAWS = 400
WIDTH = 0.1


def budget() -> tuple[Proof, ...]:
    return needed(), active()


def needed() -> Proof:
    """The labels that pilots ask for, and the width that so many really give."""
    rows = []
    for of, pilot in ((of_arena(), 500), (of_xstest(), 200)):
        y = outcomes(of.human)
        estimator = by(y, of.averaged.p_one, of.averaged.known)
        pilots = [estimator(labelled, seed) for seed, labelled in enumerate(draws(len(y), pilot, DRAWS, 0))]
        asked = [fewest for one in pilots if one and (fewest := labels_needed(one, WIDTH))]
        with_judges, alone = (
            int(np.median(numbers))
            for numbers in zip(*((one.with_judges, one.human_only) for one in asked), strict=True)
        )
        found = over_draws(y, with_judges, estimator, DRAWS)
        saved = share(1 - with_judges / alone)
        counts = (str(pilot), str(with_judges), str(alone), saved)
        rows.append(Row((of.name, *counts, figure(found.width), share(found.covered))))
    columns = ("set", "pilot", "labels with judges", "labels alone", "saved", "mean width with judges", "covered")
    said = f"The median of {DRAWS} pilots; then the width that so many labels with judges give, by {DRAWS} draws."
    return Proof(f"Labels for an interval {WIDTH} wide", said, columns, tuple(rows))


def active() -> Proof:
    """Two steps: a pilot of labels, then as many again twice, drawn by the chances that the pilot proposes."""
    rows = []
    for of, pilot, more in ((of_arena(), 100, 200), (of_xstest(), 100, 200)):
        y, p, known = outcomes(of.human), of.averaged.p_one, of.averaged.known
        found, paid = [], 0
        for seed, first in enumerate(draws(len(y), pilot, DRAWS, 0)):
            proposal = propose(y[first], first, p, known, more=more, seed=seed)
            assert proposal
            second = np.random.default_rng(seed).random(len(y)) < proposal.next
            labelled = np.union1d(first, np.flatnonzero(second))
            one = estimate_mean(y[labelled], labelled, p, known, probabilities=proposal.probabilities, seed=seed)
            assert one
            found.append(one)
            paid += proposal.pays
        even = over_draws(y, pilot + more, by(y, p, known), DRAWS)
        drawn = gathered(found, float(y.mean()))
        widths = (figure(drawn.width), figure(even.width), figure(drawn.width / even.width))
        rows.append(Row((of.name, f"{pilot} + {more}", share(paid / len(found), 0), *widths, share(drawn.covered))))
    said = f"Drawn by how much the predictions leave open, where a pilot shows that this pays; {DRAWS} draws."
    columns = ("set", "labels", "active", "mean width", "drawn evenly", "ratio", "covered")
    return Proof("Active labelling", said, columns, tuple(rows))
