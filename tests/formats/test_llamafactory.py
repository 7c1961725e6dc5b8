"""LLaMA-Factory's own loader reads what is written for it, by the dataset_info.json written beside it."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from warnings import catch_warnings

import pytest

from trainer.pairs.rows import TrainingRow

if find_spec("llamafactory") is None:
    pytest.skip("llamafactory is not installed", allow_module_level=True)
sound = ModuleType("torchaudio")  # it imports this for sound alone; there is none for every torch
sound.__spec__ = ModuleSpec("torchaudio", None)
sys.modules.setdefault("torchaudio", sound)
with catch_warnings(action="ignore"):  # of what it imports
    loader = import_module("llamafactory.data.loader")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def load(export: Callable[..., Path], tokenizer: Any, tmp_path: Path) -> Callable[..., Any]:
    """Its training and test data for a stage, as its command line would have them."""
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    folder = export("llamafactory")

    def read(stage: str, name: str, **more: Any) -> Any:
        data = DataArguments(
            dataset=name, eval_dataset=f"{name}_test", dataset_dir=str(folder), cutoff_len=1024, template="chatml",
            preprocessing_num_workers=1, overwrite_cache=True, **more,
        )  # fmt: skip
        model = ModelArguments(model_name_or_path=str(tokenizer.name_or_path), cache_dir=str(tmp_path / "cache"))
        training = Seq2SeqTrainingArguments(output_dir=str(tmp_path / "out"), report_to=[], use_cpu=True)
        template = get_template_and_fix_tokenizer(tokenizer, data)
        return loader.get_dataset(template, model, data, training, stage=stage, tokenizer=tokenizer)

    return read


def learnt(tokenizer: Any, labels: list[int]) -> str:
    return str(tokenizer.decode([label for label in labels if label != -100], skip_special_tokens=False))


def prompt_of(tokenizer: Any, row: TrainingRow) -> str:
    turns = [{"role": m.role, "content": m.content} for m in row.prompt]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def test_pairs_are_read_for_dpo_and_reward_models(
    load: Callable[..., Any], pairs: tuple[TrainingRow, ...], tokenizer: Any
) -> None:
    found = load("rm", "solon_pairs")
    assert (len(found["train_dataset"]), len(found["eval_dataset"])) == (len(pairs), 3)
    for row, read in zip(pairs, found["train_dataset"], strict=True):
        assert learnt(tokenizer, read["chosen_labels"]) == f"{row.chosen[0].content}<|im_end|>\n"
        assert learnt(tokenizer, read["rejected_labels"]) == f"{row.rejected[0].content}<|im_end|>\n"
        whole = tokenizer.decode(read["chosen_input_ids"], skip_special_tokens=False)
        assert whole.startswith(prompt_of(tokenizer, row))


def test_completions_are_read_for_kto_with_their_labels(load: Callable[..., Any], tokenizer: Any) -> None:
    found = load("kto", "solon_kto")["train_dataset"]
    assert len(found) == 6  # of the seven, the one that was chosen as often as rejected says nothing
    assert sorted(found["kto_tags"]) == [False] * 3 + [True] * 3
    assert {learnt(tokenizer, read["labels"]) for read in found if not read["kto_tags"]} == {
        "None<|im_end|>\n", "It scatters.\n\nBlue light, most of all.<|im_end|>\n"
    }  # fmt: skip


def test_of_completions_to_imitate_the_earlier_turns_are_left_out_with_mask_history(
    load: Callable[..., Any], tokenizer: Any
) -> None:
    found = load("sft", "solon_sft", mask_history=True)["train_dataset"]
    assert [learnt(tokenizer, read["labels"]) for read in found][-1] == "None<|im_end|>\n"
    assert len(found) == 4
