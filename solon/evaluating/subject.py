"""Which policy is held against which."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from constitution.errors import InputError
from solon.folder import RunFolder
from solon.training.places import base_weights, trained_policies
from trainer.ancestry import RECORD, Record, lineage, read_record, weights_hash


@dataclass(frozen=True, slots=True)
class Subject:
    """A trained policy, the weights that the run starts from, and what stands between the two, if anything does."""

    trained: Path
    base: Path
    previous: Path | None = None

    @property
    def name(self) -> str:
        return self.trained.resolve().name

    @property
    def record(self) -> Record:
        record = read_record(self.trained)
        assert record is not None  # `trained_policy` sees to that
        return record

    def strangers(self) -> str:
        """A sentence where the trained policy does not descend from the base; else nothing."""
        ancestors = {record["base_sha256"] for record in lineage(self.trained)}
        if weights_hash(self.base) in ancestors:
            return ""
        return f"{self.name} was not trained from {self.base.name}: what differs is not all due to its training."


def subject_of(folder: RunFolder, policy: Path | None, base: Path | None, previous: Path | None) -> Subject:
    """What was asked for, and where nothing was: the only policy there is, the run's base, the policy trained on from.

    Raises:
        InputError: there is no such policy, or several and none is named.
    """
    trained = trained_policy(folder, policy)
    start = base_weights(folder, base)
    return Subject(trained, start, previous or parent_of(folder, trained, start))


def trained_policy(folder: RunFolder, policy: Path | None) -> Path:
    found = trained_policies(folder)
    if policy is None:
        if not found:
            remedy = f"train one with `solon train dpo {folder.path}`, or name its folder with --policy"
            raise InputError(str(folder.models), "holds no trained policy", remedy)
        if len(found) > 1:
            raise InputError(str(folder.models), f"holds {', '.join(found)}", "name one of them with --policy")
        return next(iter(found.values()))
    record = read_record(policy)
    if record is None:
        fact = "holds no trained policy" if policy.is_dir() else "no such folder"
        raise InputError(str(policy), fact, f"name a folder that has a {RECORD}")
    if record["method"] == "reward":
        raise InputError(str(policy), "is a reward model, which says nothing", "name a policy")
    return policy


def parent_of(folder: RunFolder, trained: Path, base: Path) -> Path | None:
    """The model that ``trained`` was trained on from, where that is another than ``base`` and can be found here."""
    record = read_record(trained)
    if record is None or record["base_record"] is None or record["base_sha256"] == weights_hash(base):
        return None
    for place in near(folder):
        found = read_record(place)
        if found and found["weights_sha256"] == record["base_sha256"]:
            return place
    return None


def near(folder: RunFolder) -> Iterator[Path]:
    """The models of the run, of its rounds, and of the runs beside it, which are the rounds before where it is one."""
    run = folder.path.resolve()
    patterns = ((run, "models/*"), (run, "rounds/*/models/*"), (run.parent, "*/models/*"))
    yield from chain.from_iterable(sorted(place.glob(pattern)) for place, pattern in patterns)
