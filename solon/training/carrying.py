"""One training carried out: what is there already is left, and a new model takes its place when it is whole."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from constitution.errors import InputError, StorageError
from solon.folder import RunFolder, make_folder
from solon.progress import Reporter, showing
from solon.training.launched import is_main, main_first
from solon.training.places import NEW, OLD, base_weights, prepare_trainer, record_of
from solon.training.telling import figures_told
from solon.training.trainers import carry_out
from solon.training.wanted import Wanted, prompts_to_train_on, require_export, reward_of, settings_of, takes_rows
from trainer.ancestry import RECORD, Record, read_record
from trainer.models.policies import Policy, freed_when_full, load_policy, require_empty
from trainer.settings import Method, Online
from trainer.steps import Job, Step

SHOWN = ("loss", "reward", "kl", "accuracy", "length")  # of a step's figures, while it trains


@dataclass(frozen=True, slots=True)
class Asked:
    """A training as somebody asks for it; what is None is where the run's folder and configuration say."""

    method: Method
    out: Path | None = None
    base: Path | None = None
    rows: Path | None = None  # the folder of an export


@dataclass(frozen=True, slots=True)
class Made:
    output: Path
    record: Record  # empty in a process that is not the main one
    known: bool  # whether it was there already


def train_as_asked(folder: RunFolder, asked: Asked) -> Made:
    """Trains, unless the model that is there was trained by just that. For whoever holds the folder.

    Raises:
        InputError: something that is asked for is not there or does not fit, or ``out`` holds what Solon did not make.
        ModelError: the training broke down.
        StorageError: there is no room. Whatever is raised, what lay there before lies there still.
    """
    output = asked.out or folder.model(asked.method)
    with main_first():
        if is_main():
            settle(output)
    wanted = wanted_of(folder, asked)
    require_own(output, wanted.base)
    record = record_of(output)
    if record and all(record.get(name) == value for name, value in wanted.marks.items()):
        return Made(output, record, known=True)
    prepare_trainer()
    make_folder(output.parent)
    train_into(folder, wanted, output)
    return Made(output, (read_record(output) or {}) if is_main() else {}, known=False)


def wanted_of(folder: RunFolder, asked: Asked) -> Wanted:
    settings, rows = settings_of(folder, asked.method), asked.rows or folder.export
    if takes_rows(settings):
        require_export(folder, rows)
    base, seed = base_weights(folder, asked.base), folder.config.seed
    record = record_of(base)
    if record and record["method"] == "reward":
        raise InputError(str(base), "is a reward model, which cannot answer", "start from a policy")
    if not isinstance(settings, Online):
        return Wanted(asked.method, settings, base, rows, seed)
    reward = reward_of(folder, asked.method, settings.reward)
    return Wanted(asked.method, settings, base, rows, seed, prompts_to_train_on(folder), reward)


def require_own(output: Path, base: Path) -> None:
    """Nothing is put in the place of what Solon did not train, or of what the training starts from."""
    if not (output / RECORD).is_file():
        require_empty(output)
    elif output.resolve() == base.resolve():
        raise InputError(str(output), "is what the training starts from", "name another folder with --out")


def train_into(folder: RunFolder, wanted: Wanted, output: Path) -> None:
    """Trains beside ``output``, and puts the new model in its place when it is whole.

    What a training needs to go on after a kill lies in ``OUTPUT.new.work``, and is its trainer's own.
    """
    new = beside(output, NEW)
    with main_first():
        if is_main():
            shutil.rmtree(new, ignore_errors=True)  # of a training that was killed
    with removed_unless_done(new), freed_when_full(new), telling(wanted.method) as on_step:
        policy = load_policy(wanted.base)
        require_room(policy, output)
        carry_out(folder, wanted, policy, Job(wanted.rows, new, wanted.seed, on_step))
        if is_main():
            amend_record(new, wanted)
            put_in_place(new, output)


@contextmanager
def telling(method: Method) -> Iterator[Callable[[Step], None]]:
    """What is told of each step: by the main process, to the terminal."""
    if not is_main():
        yield lambda step: None
        return
    with showing(method, 1) as reporter:
        yield lambda step: show(step, reporter)


def show(step: Step, reporter: Reporter) -> None:
    reporter.expect(step.steps)
    reporter.at(step.step, figures_told({name: step.figures[name] for name in SHOWN if name in step.figures}))


def require_room(policy: Policy, output: Path) -> None:
    """Refuses before the training what would fail after it: there must be room for the weights."""
    need = sum(weight.numel() * weight.element_size() for weight in policy.model.parameters())
    free = shutil.disk_usage(output.parent).free
    if free < need:
        raise StorageError(f"{output.parent}: {need >> 20} MiB of weights do not fit into {free >> 20} MiB: make room")


@contextmanager
def removed_unless_done(new: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if is_main():
            shutil.rmtree(new, ignore_errors=True)
        raise


def amend_record(new: Path, wanted: Wanted) -> None:
    """Adds what the trainer cannot know: the prompts' hash and the reward's.

    Of a training that took no rows, the lock is that of the run's data as they were then.
    """
    record = {**(read_record(new) or {}), **wanted.online_marks, "trained_on_export": wanted.takes_rows}
    (new / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def beside(output: Path, suffix: str) -> Path:
    return output.with_name(f"{output.name}{suffix}")


def put_in_place(new: Path, output: Path) -> None:
    """Two renames, so that a kill leaves either model whole; ``settle`` carries on from there."""
    if output.exists():
        output.rename(beside(output, OLD))
    new.rename(output)
    shutil.rmtree(beside(output, OLD), ignore_errors=True)


def settle(output: Path) -> None:
    """Ends what a kill broke off when one model was taking the place of another: there is one again, the new one.

    Raises:
        InputError: something that Solon did not make lies where the old model would.
    """
    old, new = beside(output, OLD), beside(output, NEW)
    if not (old / RECORD).is_file():
        require_empty(old)
        return
    if not output.exists():
        (new if (new / RECORD).is_file() else old).rename(output)
    shutil.rmtree(old, ignore_errors=True)
