"""Batches keep a prompt's rows together, lose none, and depend on the seed alone."""

import json
import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainer
from trainer.dpo import train_dpo
from trainer.models.policies import Policy, load_policy, save_policy
from trainer.pairs.groups import EpochBatches, whole_batches
from trainer.settings import DpoSettings
from trainer.steps import Job

PROMPTS = st.lists(st.sampled_from("abcdefghijkl"), max_size=60)
SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**32)


def met(prompts: list[str], batches: tuple[tuple[int, ...], ...]) -> list[list[str]]:
    """The batches as the prompts that meet in them, in order."""
    return [sorted(prompts[row] for row in batch) for batch in batches]


@given(PROMPTS, SIZES, SEEDS)
def test_every_row_is_in_one_batch_and_no_batch_is_empty_or_too_large(prompts: list[str], size: int, seed: int) -> None:
    batches = whole_batches(prompts, size, seed)
    assert sorted(row for batch in batches for row in batch) == list(range(len(prompts)))
    assert all(1 <= len(batch) <= size for batch in batches)


@given(PROMPTS, SIZES, SEEDS)
def test_a_prompt_that_fits_is_whole_and_a_larger_one_has_as_few_even_batches_to_itself_as_can_be(
    prompts: list[str], size: int, seed: int
) -> None:
    batches = met(prompts, whole_batches(prompts, size, seed))
    for prompt, count in Counter(prompts).items():
        places = [place for place, batch in enumerate(batches) if prompt in batch]
        if count <= size:
            assert len(places) == 1
            continue
        assert places == list(range(places[0], places[0] + -(-count // size)))
        sizes = [len(batches[place]) for place in places]
        assert max(sizes) - min(sizes) <= 1
        assert all(set(batches[place]) == {prompt} for place in places)


@given(PROMPTS, SIZES, SEEDS)
def test_no_two_batches_of_whole_prompts_could_have_been_one(prompts: list[str], size: int, seed: int) -> None:
    counts = Counter(prompts)
    batches = met(prompts, whole_batches(prompts, size, seed))
    smallest = sorted(len(batch) for batch in batches if counts[batch[0]] <= size)[:2]
    assert len(smallest) < 2 or sum(smallest) > size


@given(PROMPTS, SIZES, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_in_the_file_changes_no_meeting(
    prompts: list[str], size: int, seed: int, shuffling: Random
) -> None:
    moved = list(prompts)
    shuffling.shuffle(moved)
    assert met(prompts, whole_batches(prompts, size, seed)) == met(moved, whole_batches(moved, size, seed))


@given(PROMPTS, SIZES, SEEDS, SEEDS)
def test_the_seed_decides_who_meets_and_when_but_not_how_many_batches_of_which_size(
    prompts: list[str], size: int, one: int, other: int
) -> None:
    first = whole_batches(prompts, size, one)
    assert first == whole_batches(prompts, size, one)
    assert Counter(map(len, first)) == Counter(map(len, whole_batches(prompts, size, other)))


@pytest.mark.parametrize(
    ("counts", "size", "sizes"),
    [
        ({"a": 3, "b": 3, "c": 1, "d": 1}, 4, [4, 4]),
        ({"a": 5, "b": 4, "c": 3, "d": 2, "e": 2}, 8, [8, 8]),
        ({"a": 6, "b": 1}, 4, [1, 3, 3]),
        ({"a": 9}, 4, [3, 3, 3]),
        ({"a": 1, "b": 1, "c": 1}, 2, [1, 2]),
        ({"a": 2, "b": 2}, 1, [1, 1, 1, 1]),
        ({}, 4, []),
    ],
)
def test_batches_are_as_full_as_the_prompts_allow(counts: dict[str, int], size: int, sizes: list[int]) -> None:
    assert sorted(map(len, whole_batches([*Counter(counts).elements()], size, 0))) == sizes


def test_prompts_of_all_sizes_come_early_and_late_and_meet_others_in_each_epoch() -> None:
    prompts = [f"q{i}" for i in range(60) for _ in range(1 + i % 4)]
    batches = EpochBatches(prompts, 4, 0)
    first = list(batches)
    assert first == [list(batch) for batch in whole_batches(prompts, 4, 0)]
    assert len(batches) == len(first)
    half = len(first) // 2
    for count in range(1, 5):
        early = {prompts[row] for batch in first[:half] for row in batch if int(prompts[row][1:]) % 4 == count - 1}
        assert 3 <= len(early) <= 12
    batches.set_epoch(1)
    second = list(batches)
    assert len(second) == len(batches)
    assert {*map(frozenset, first)} != {*map(frozenset, second)}
    assert [min(batch) for batch in first] != [min(batch) for batch in second]


# ---- several processes -----------------------------------------------------------------------------------------------

NEEDED = ("torch", "transformers", "accelerate", "trl", "datasets", "pyarrow", "tokenizers")
MISSING = [name for name in NEEDED if find_spec(name) is None]


def small_policy(folder: Path) -> None:
    """Writes a random model of one small layer that knows sixteen words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = ["<end>", "<user>", "<assistant>", "go", *(f"w{place}" for place in range(12))]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, unk_token="<end>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = "{% for m in messages %}<{{ m.role }}> {{ m.content }} <end> {% endfor %}<assistant>"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", chat_template=template)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
        eos_token_id=0, bos_token_id=0,
    )  # fmt: skip
    save_policy(Policy(LlamaForCausalLM(shape), tokenizer, folder), folder)


def pairs_of(counts: list[int]) -> list[dict[str, Any]]:
    """Prompt ``i`` with ``counts[i]`` pairs, with and without a chance of a wrong label."""

    def said(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    return [
        {
            "prompt": said("user", "go " * (prompt + 1)),
            "chosen": said("assistant", f"w{place} w{prompt}"),
            "rejected": said("assistant", f"w{prompt} w{11 - place} w{place}"),
            "prompt_id": f"q{prompt}",
            "epsilon": 0.3 if place % 2 else None,
        }
        for prompt, count in enumerate(counts)
        for place in range(count)
    ]


def train(folder: Path, out: str, accumulation: int) -> None:
    settings = DpoSettings(learning_rate=1e-2, epochs=2, batch_size=4, gradient_accumulation=accumulation, bf16=False)
    train_dpo(load_policy(folder / "policy"), settings, Job(folder, folder / out, 0, lambda step: None))


@pytest.mark.real
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_processes_make_the_same_model_as_one_that_sees_the_batches_of_both_in_a_step(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet
    from safetensors.torch import load_file

    small_policy(tmp_path / "policy")
    parquet.write_table(pyarrow.Table.from_pylist(pairs_of([3, 1, 2, 6, 1, 4, 2, 3])), tmp_path / "train.parquet")
    launch = "torch.distributed.run --standalone --nproc_per_node=2"
    more = {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(Path(trainer.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", *launch.split(), __file__, str(tmp_path)], capture_output=True, text=True, timeout=240,
        env={**os.environ, **more, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    train(tmp_path, "one", accumulation=2)
    one, two = (json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8")) for name in ("one", "two"))
    assert two["tokens"] == one["tokens"]
    figures = ([step["figures"] for step in record["steps"]] for record in (two, one))
    for ours, wanted in zip(*figures, strict=True):
        assert ours == pytest.approx(wanted, abs=1e-5)
    weights = load_file(tmp_path / "one" / "model.safetensors")
    for name, weight in load_file(tmp_path / "two" / "model.safetensors").items():
        assert weight.allclose(weights[name], atol=1e-4), name


if __name__ == "__main__":  # as one of the two
    train(Path(sys.argv[1]), "two", accumulation=1)
