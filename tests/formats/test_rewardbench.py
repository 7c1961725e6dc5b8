"""RewardBench's own loader reads what is written for it."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import pytest

from trainer.pairs.rows import TrainingRow

if find_spec("rewardbench") is None:
    pytest.skip("rewardbench is not installed", allow_module_level=True)
with catch_warnings(action="ignore"):  # of what it imports
    rewardbench = import_module("rewardbench")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_pairs_are_read_as_whole_conversations(
    export: Callable[..., Path], pairs: tuple[TrainingRow, ...], tokenizer: Any
) -> None:
    file = export("rewardbench") / "train.jsonl"
    read = rewardbench.load_and_process_dataset(str(file), json=True, tokenizer=tokenizer)
    assert len(read) == len(pairs)
    for row, found in zip(pairs, read, strict=True):
        for side, text in (("text_chosen", row.chosen[0].content), ("text_rejected", row.rejected[0].content)):
            assert found[side].endswith(
                f"{row.prompt[-1].content}<|im_end|>\n<|im_start|>assistant\n{text}<|im_end|>\n"
            )
            assert "<|im_start|>system" not in found[side]
    assert read[3]["text_chosen"].startswith("<|im_start|>user\nBe brief.\n\nWhy does iron rust?<|im_end|>")
    roles = [turn.split("\n")[0] for turn in read[4]["text_chosen"].split("<|im_start|>")[1:]]
    assert roles == ["user", "assistant", "user", "assistant"]
