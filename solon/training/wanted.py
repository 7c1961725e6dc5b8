"""What decides a trained model: two trainings that want the same need only one of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from constitution.errors import InputError
from constitution.identity import file_hash, full_hash
from generator.prompts import Prompt
from solon.config import meaning
from solon.export import LOCK
from solon.folder import RunFolder
from solon.inputs import read_prompts
from solon.rewarding import CONSTITUTION, asks_judge, reward_place
from solon.training.places import record_of
from trainer.ancestry import Record, weights_hash
from trainer.pairs.rows import is_test
from trainer.settings import Fitting, Method, Online, PpoSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """A training as the run's folder and configuration ask for it; nothing is loaded yet."""

    method: Method
    settings: Fitting
    base: Path
    rows: Path  # the folder of an export; read only where the method takes rows
    seed: int
    prompts: tuple[Prompt, ...] = ()  # that a policy samples completions to
    reward: Mapping[str, Any] | None = None  # that these are given: name, hash, and what it was made of

    @property
    def takes_rows(self) -> bool:
        return takes_rows(self.settings)

    @property
    def marks(self) -> Record:
        """What a record of this very training says. An export counts only where it was trained on."""
        marks = {
            "method": self.method,
            "settings": json.loads(json.dumps(asdict(self.settings))),
            "seed": self.seed,
            "base_sha256": weights_hash(self.base),
        }
        if self.takes_rows:
            marks["export_lock_sha256"] = file_hash(self.rows / LOCK)
        return {**marks, **self.online_marks}

    @property
    def online_marks(self) -> Record:
        """What the shell knows of a method that samples its own completions, and no trainer does."""
        if self.reward is None:
            return {}
        return {"reward": self.reward, "prompts_sha256": full_hash([asdict(prompt) for prompt in self.prompts])}


def settings_of(folder: RunFolder, method: Method) -> Fitting:
    settings: Fitting = getattr(folder.config, method)
    return settings


def takes_rows(settings: Fitting) -> bool:
    """Whether it trains on an export. What samples its own completions does so only beside it (PPO-ptx)."""
    return not isinstance(settings, Online) or (isinstance(settings, PpoSettings) and settings.pretraining_coef > 0)


def require_export(folder: RunFolder, rows: Path) -> None:
    if not (rows / LOCK).is_file():
        raise InputError(str(rows), "holds no export", f"write one with `solon export {folder.path}`")


def prompts_to_train_on(folder: RunFolder) -> tuple[Prompt, ...]:
    """The run's prompts that its export does not hold out.

    Raises:
        InputError: there is none.
    """
    config, place = folder.config, f"run {folder.config.name!r}"
    prompts = read_prompts(config.prompts.files, folder.beside, place)
    kept = tuple(prompt for prompt in prompts if not is_test(prompt.id, config.seed, config.export.test_share))
    if not kept:
        raise InputError(place, "all its prompts are held out", "lower export.test_share, or give it more prompts")
    return kept


def reward_of(folder: RunFolder, method: Method, name: str) -> Record:
    """What a record says of a reward by its name in the configuration.

    Raises:
        InputError: it is a reward model that is not there.
    """
    if name == CONSTITUTION:
        return constitution_told(folder)
    place = reward_place(folder, name)
    record = record_of(place)
    if record is None or record["method"] != "reward":
        remedy = f'make one with `solon train reward {folder.path}`, or set {method}.reward = "constitution"'
        raise InputError(str(place), "holds no reward model", remedy)
    without_steps = {key: value for key, value in record.items() if key != "steps"}
    return {"name": name, "sha256": weights_hash(place), "record": without_steps}


def constitution_told(folder: RunFolder) -> Record:
    constitution, asked = folder.principles(), asks_judge(folder, CONSTITUTION)
    judge = {key: value for key, value in meaning(folder.config).items() if key.startswith("judge.")}
    return {
        "name": CONSTITUTION,
        "constitution": constitution.name,
        "principles": [principle.id for principle in constitution.principles],
        "judge": folder.config.judge.model if asked else None,
        "sha256": full_hash([file_hash(folder.principles_file), judge if asked else None]),
        "record": None,
    }
