"""Inverse Constitutional AI's own loader, and Feedback Forensics', read what is written for them."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trainer.pairs.rows import TrainingRow

pytestmark = pytest.mark.filterwarnings("ignore")


def module(package: str, name: str) -> Any:
    """A module of ``package`` without what that imports first: models of half a dozen services."""
    if package not in sys.modules:
        spec = find_spec(package)
        if spec is None:
            pytest.skip(f"{package} is not installed")
        bare = ModuleType(package)
        bare.__path__ = list(spec.submodule_search_locations or [])
        sys.modules[package] = bare
    return import_module(f"{package}.{name}")


def test_pairs_keep_their_texts_and_who_is_preferred(
    export: Callable[..., Path], pairs: tuple[TrainingRow, ...]
) -> None:
    standard = module("inverse_cai", "data.loader.standard")
    read = standard.load(export("icai") / "train.json", merge_prompts=False)
    assert list(read["id"]) == [row.pair_id for row in pairs]
    for row, found in zip(pairs, read.to_dict("records"), strict=True):
        preferred, other = ("text_a", "text_b") if found["preferred_text"] == "text_a" else ("text_b", "text_a")
        assert (found[preferred], found[other]) == (row.chosen[0].content, row.rejected[0].content)
    assert set(read["preferred_text"]) == {"text_a", "text_b"}
    assert read["prompt"][0] == "Why is the sky blue?"
    assert read["prompt"][4].startswith(
        "System: Be brief.\n\nUser: Hello.\n\nAssistant: Hello!\n\nUser: Is 'None' a word?"
    )


def test_prompts_are_merged_into_the_texts_as_a_run_of_it_does(export: Callable[..., Path]) -> None:
    read = module("inverse_cai", "data.loader.standard").load(export("icai") / "test.json", merge_prompts=True)
    assert all("Why is the sky blue?" in text for text in (*read["text_a"], *read["text_b"]))


def test_the_principles_are_annotators_beside_who_is_preferred(export: Callable[..., Path]) -> None:
    module("inverse_cai", "data.annotated_pairs_format")
    sys.modules.setdefault("gradio", ModuleType("gradio"))  # its pages, which are not looked at here
    loader = module("feedback_forensics", "data.loader")
    read = loader.get_votes_dict_from_annotated_pairs_json(export("icai") / "train.json")
    kinds = {one["annotator_visible_name"]: one["variant"] for one in read["annotator_metadata"].values()}
    assert sorted(kinds.values()) == ["default_annotator", "icai_principle", "icai_principle"]
    table, preferred = read["df"], read["reference_annotator_col"]
    brief = next(name for name, one in read["annotator_metadata"].items() if "60 words" in one["annotator_description"])
    assert list(table[preferred]) == list(table[brief])  # a check that prefers what was chosen, each time
    plain = next(name for name in read["annotator_metadata"] if name not in (preferred, brief))
    assert table[plain].isna().all()
