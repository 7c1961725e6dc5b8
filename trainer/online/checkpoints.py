"""Where a training stands, on disk, so that it goes on after a stop as if there had been none.

A checkpoint is a folder of its own, named by its step and moved into place whole: trained weights and the
optimizer's state as safetensors, the rest as JSON. The one before is removed when the next is there.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from trainer.models.policies import freed_when_full
from trainer.steps import Step

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, ADAM, STATE = "weights.safetensors", "adam.safetensors", "state.json"

Mark = Mapping[str, Any]  # what the training is of: going on with anything else is refused


@dataclass(frozen=True, slots=True)
class Progress:
    """All that one step hands to the next beside weights and optimizer."""

    kl_coef: float
    seconds: float = 0.0
    tokens: int = 0  # read and sampled
    unrewarded: int = 0  # completions
    steps: tuple[Step, ...] = ()


def save_checkpoint(work: Path, net: Any, optimizer: Any, progress: Progress, mark: Mark) -> None:
    """Writes the checkpoint of ``progress`` into ``work``.

    Raises:
        StorageError: the disk is full; the checkpoint before is still there.
    """
    from safetensors.torch import save_file

    step = len(progress.steps)
    new, place = work / f"{step}.new", work / str(step)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    with freed_when_full(new):
        trained = trained_weights(net)
        save_file({name: weight.detach().contiguous() for name, weight in trained.items()}, new / WEIGHTS)
        save_file(moments(trained, optimizer), new / ADAM)
        text = json.dumps({"mark": mark, "progress": asdict(progress)}, indent=2, sort_keys=True)
        (new / STATE).write_text(text + "\n", encoding="utf-8")
    new.rename(place)
    for other in work.iterdir():
        if other != place:
            shutil.rmtree(other)


def require_same(work: Path, mark: Mark) -> None:
    """Raises an ``InputError`` where ``work`` holds the checkpoint of a training that is not of ``mark``."""
    place = newest(work)
    if place is None:
        return
    found = json.loads((place / STATE).read_text(encoding="utf-8"))["mark"]
    if differing := sorted(name for name in {*found, *mark} if found.get(name) != mark.get(name)):
        fact = f"holds the checkpoint of another training (not the same: {', '.join(differing)})"
        raise InputError(str(work), fact, "remove that folder to begin anew, or train as that was begun")


def load_checkpoint(work: Path, net: Any, optimizer: Any) -> Progress | None:
    """Sets ``net`` and ``optimizer`` to the newest checkpoint in ``work``; None where there is none."""
    import torch
    from safetensors.torch import load_file

    place = newest(work)
    if place is None:
        return None
    weights, adam = load_file(place / WEIGHTS), load_file(place / ADAM)
    for name, weight in trained_weights(net).items():
        with torch.no_grad():
            weight.copy_(weights[name])
        state = {key.partition("/")[0]: value for key, value in adam.items() if key.partition("/")[2] == name}
        optimizer.state[weight] = {key: value.to(weight.device) for key, value in state.items()}
    stored = json.loads((place / STATE).read_text(encoding="utf-8"))["progress"]
    return Progress(**{**stored, "steps": tuple(Step(**step) for step in stored["steps"])})


def trained_weights(net: Any) -> "dict[str, Tensor]":
    return {name: weight for name, weight in net.named_parameters() if weight.requires_grad}


def moments(trained: "Mapping[str, Tensor]", optimizer: Any) -> "dict[str, Tensor]":
    """The optimizer's state by ``part/name of the weight``."""
    return {
        f"{part}/{name}": value.contiguous()
        for name, weight in trained.items()
        for part, value in optimizer.state[weight].items()
    }


def newest(work: Path) -> Path | None:
    """The checkpoint with the most steps; one that was not written to its end has a name that is no number."""
    steps = [place for place in work.iterdir() if place.name.isdigit()] if work.is_dir() else []
    return max(steps, key=lambda place: int(place.name), default=None)
