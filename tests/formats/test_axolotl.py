"""Axolotl's own loaders read what is written for it, by the configurations written beside it."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import pytest

from trainer.pairs.rows import TrainingRow

if find_spec("axolotl") is None:
    pytest.skip("axolotl is not installed", allow_module_level=True)
with catch_warnings(action="ignore"):  # of what it imports
    rl = import_module("axolotl.utils.data.rl")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def config(export: Callable[..., Path], tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A configuration as `axolotl` reads it, in the folder that it is started in."""
    import yaml
    from axolotl.utils.dict import DictDefault

    folder = export("axolotl")
    monkeypatch.chdir(folder)
    place = str(tokenizer.name_or_path)
    more = {
        "base_model": place, "tokenizer_config": place, "base_model_config": place, "sequence_len": 1024,
        "dataset_num_proc": 1, "special_tokens": {}, "train_on_inputs": False,
        "dataset_prepared_path": str(folder / "prepared"),
    }  # fmt: skip

    def read(name: str) -> Any:
        return DictDefault({**yaml.safe_load((folder / name).read_text(encoding="utf-8")), **more})

    return read


def test_pairs_are_read_for_dpo(config: Callable[[str], Any], pairs: tuple[TrainingRow, ...], tokenizer: Any) -> None:
    from axolotl.utils.schemas.enums import RLType

    told = config("dpo.yaml")
    assert told.rl == "dpo"
    told.rl = RLType(told.rl)
    train, test = rl.prepare_preference_datasets(told, tokenizer)
    assert (len(train), len(test)) == (len(pairs), 3)
    found = {row["pair_id"]: row for row in train}
    for row in pairs:
        turns = [{"role": m.role, "content": m.content} for m in row.prompt]
        read = found[row.pair_id]
        assert read["prompt"] == tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert read["chosen"] == f"{row.chosen[0].content}<|im_end|>"
        assert read["rejected"] == f"{row.rejected[0].content}<|im_end|>"


def test_of_completions_to_imitate_only_the_last_turn_is_trained_on(
    config: Callable[[str], Any], tokenizer: Any
) -> None:
    from axolotl.prompt_strategies import load
    from axolotl.utils.data.shared import load_dataset_with_config

    told = config("sft.yaml")
    [dataset] = told.datasets
    rows = load_dataset_with_config(dataset, False)
    strategy = load(dataset.type, tokenizer, told, dataset)
    assert len(rows) == 4
    for row in rows:
        read = strategy.tokenize_prompt(row)
        learnt = [token for token, label in zip(read["input_ids"], read["labels"], strict=True) if label != -100]
        text = tokenizer.decode(learnt, skip_special_tokens=False)
        assert text.rstrip("\n") == row["messages"][-1]["content"] + "<|im_end|>"
