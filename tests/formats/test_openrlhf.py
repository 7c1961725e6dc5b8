"""OpenRLHF's own data sets read what is written for it."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainer.pairs.rows import TrainingRow

if find_spec("openrlhf") is None:
    pytest.skip("openrlhf is not installed", allow_module_level=True)
datasets, utils = import_module("openrlhf.datasets"), import_module("openrlhf.datasets.utils")


def strategy(**data: Any) -> Any:
    """What its command line makes of ``--data.NAME VALUE``."""
    told = {"apply_chat_template": True, "tokenizer_chat_template": None, **data}
    return SimpleNamespace(
        args=SimpleNamespace(data=SimpleNamespace(**told), use_ms=False), is_rank_0=lambda: False, print=lambda *_: None
    )


def blended(file: Path) -> Any:
    return utils.blending_datasets(str(file), None, strategy())


@pytest.mark.parametrize("dpo", [True, False])
def test_pairs_are_read_by_the_data_set_of_dpo_and_of_reward_models(
    export: Callable[..., Path], pairs: tuple[TrainingRow, ...], tokenizer: Any, dpo: bool
) -> None:
    keys = strategy(prompt_key="prompt", chosen_key="chosen", rejected_key="rejected")
    data = blended(export("openrlhf") / "pairs-train.jsonl")
    read = datasets.RewardDataset(data, tokenizer, 512, keys, is_dpo=dpo, num_processors=1)
    assert len(read) == len(pairs)
    for row, prompt, chosen, rejected, extra in zip(
        pairs, read.prompts, read.chosens, read.rejects, read.extras, strict=True
    ):
        turns = [{"role": m.role, "content": m.content} for m in row.prompt]
        assert prompt == tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert chosen == f"{row.chosen[0].content}<|im_end|>\n"
        assert rejected == f"{row.rejected[0].content}<|im_end|>\n"
        assert extra == (len(tokenizer(prompt)["input_ids"]) if dpo else row.margin)
    batch = read.collate_fn([read[0], read[3]])
    text = tokenizer.decode(batch[0][0], skip_special_tokens=False)
    assert pairs[0].chosen[0].content in text


def test_completions_to_imitate_are_trained_on_and_their_prompts_are_not(
    export: Callable[..., Path], tokenizer: Any
) -> None:
    keys = strategy(input_key="prompt", output_key="completion")
    data = blended(export("openrlhf") / "sft-train.jsonl")
    read = datasets.SFTDataset(data, tokenizer, 512, keys, num_processors=1)
    assert len(read) == 4
    for place in range(len(read)):
        ids, _, mask = read[place]
        learnt = tokenizer.decode(ids[0][1:][mask[0][:-1].bool()], skip_special_tokens=False)
        assert learnt == data[place]["completion"][0]["content"] + "<|im_end|>"


def test_prompts_are_read_once_each_with_their_ids_as_labels(export: Callable[..., Path], tokenizer: Any) -> None:
    keys = strategy(input_key="prompt", label_key="prompt_id", image_key="images")
    read = datasets.PromptDataset(blended(export("openrlhf") / "prompts-train.jsonl"), tokenizer, keys)
    assert read.labels == ["plain", "system", "turns"]
    assert set(read.datasources) == {"solon"}
    assert read.prompts[1] == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy does iron rust?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
