"""Several processes that train one model together, as `accelerate launch` starts them.

Each of them carries out the same verb. The main one alone holds the run folder, writes into it and tells what
became of it; the others train along.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    return processes() == 1 or os.environ.get("RANK", "0") == "0"


@contextmanager
def main_first() -> Iterator[None]:
    """What is inside is carried out by the main process first, and then by the others."""
    if processes() == 1:
        yield
        return
    import torch
    from accelerate import PartialState

    # Whoever says it first decides: without a GPU, processes that are not told so know nothing of each other.
    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


def said_by_main(text: str = "") -> str:
    """In every process the ``text`` of the main one."""
    if processes() == 1:
        return text
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=not torch.cuda.is_available())
    said = [text]
    broadcast_object_list(said)
    return said[0]


def leave() -> None:
    """Ends what ties the processes together: to leave without is an error of its own."""
    if processes() == 1:
        return
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
