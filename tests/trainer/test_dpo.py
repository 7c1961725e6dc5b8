"""Training runs through the real TRL on a real Parquet file, and refuses what it cannot train on."""

import copy
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError
from generator.chat import Message
from trainer.dpo import train_dpo
from trainer.models.policies import Policy, load_policy
from trainer.models.sampling import sample
from trainer.pairs.rows import COLUMNS, TrainingRow, columns
from trainer.settings import DpoSettings
from trainer.steps import Job, Step, Trained

NEEDED = ("torch", "transformers", "accelerate", "trl", "datasets", "pyarrow", "tokenizers")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = DpoSettings(learning_rate=1e-3, batch_size=2, gradient_accumulation=2, bf16=False)


def rows(count: int) -> list[TrainingRow]:
    return [
        TrainingRow(
            prompt=(Message("system", "Be brief."), Message("user", f"What is {i} plus one?")),
            chosen=(Message("assistant", f"It is {i + 1}."),),
            rejected=(Message("assistant", f"Well, let me think about {i} at some length."),),
            pair_id=f"p{i}",
            prompt_id=f"q{i}",
            chosen_id=f"c{i}",
            rejected_id=f"r{i}",
            revised=False,
            p_chosen=0.9,
            margin=0.8,
            orders_agree=None if i % 2 else True,
            label_source="ai",
            decided_by=("brief",),
            verdicts='{"brief": 0.9}',
            epsilon=None,
            ai_p_chosen=0.9,
            people=0,
            people_agree=0,
            human_strength=None,
            flags=(),
            same_family=False,
        )
        for i in range(count)
    ]


def export(folder: Path, table: dict[str, list[object]]) -> Path:
    import pyarrow
    from pyarrow import parquet

    folder.mkdir()
    parquet.write_table(pyarrow.table(table), folder / "train.parquet")
    return folder


def trained(
    policy: Policy, folder: Path, settings: DpoSettings, out: Path, seed: int = 0, seen: list[Step] | None = None
) -> Trained:
    return train_dpo(policy, settings, Job(folder, out, seed, (seen if seen is not None else []).append))


@pytest.fixture
def tiny(byte_tokenizer: Callable[[str], Any]) -> Policy:
    """A random model of two small layers, to which every byte is a token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = byte_tokenizer(TEMPLATE)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
    )  # fmt: skip
    return Policy(LlamaForCausalLM(shape), tokenizer, Path("made here"))


@pytest.mark.real
@pytest.mark.parametrize("bf16", [False, True])
def test_training_moves_the_weights_lowers_the_loss_and_leaves_a_record(
    tiny: Policy, tmp_path: Path, bf16: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    folder = export(tmp_path / "export", columns(rows(10)))
    (folder / "lock.json").write_bytes(b"{}")
    before = {name: weight.clone() for name, weight in tiny.model.state_dict().items()}
    seen: list[Step] = []
    result = trained(tiny, folder, replace(SMALL, bf16=bf16, epochs=3), tmp_path / "out", seen=seen)

    assert capfd.readouterr() == ("", "")
    assert tuple(seen) == result.steps
    assert [(step.step, step.steps) for step in seen] == [(n + 1, 9) for n in range(9)]
    assert seen[0].figures["loss"] == pytest.approx(math.log(2), abs=0.01)
    assert seen[-1].figures["loss"] < seen[0].figures["loss"] - 0.02
    assert seen[-1].figures["margin"] > 0.05
    assert seen[-1].figures["accuracy"] == 1.0

    loaded = load_policy(tmp_path / "out")
    after = loaded.model.state_dict()
    moved = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    assert "model.layers.0.self_attn.q_proj.weight" in moved
    assert "model.embed_tokens.weight" not in moved
    assert {weight.dtype for weight in after.values()} == {torch.float32}
    assert len(sample(loaded, [(Message("user", "Hi"),)], max_tokens=3, batch_size=1)) == 1

    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert (record["rows"], record["dropped"]) == (10, {"the same or empty": 0, "too noisy": 0, "too long": 0})
    assert record["tokens"] == result.tokens == 3 * tokens_of(tiny, rows(10))
    assert record["noise"] == {"rows": 0, "mean": 0, "highest": 0}
    assert record["settings"]["learning_rate"] == 1e-3
    assert record["export_lock_sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert [step["figures"] for step in record["steps"]] == [step.figures for step in seen]


def tokens_of(policy: Policy, pairs: list[TrainingRow]) -> int:
    """Of both completions of all ``pairs``, each with its prompt."""
    texts = [
        policy.tokenizer.apply_chat_template(
            [{"role": turn.role, "content": turn.content} for turn in (*row.prompt, *completion)], tokenize=False
        )
        for row in pairs
        for completion in (row.chosen, row.rejected)
    ]
    return sum(map(len, policy.tokenizer(texts, add_special_tokens=False)["input_ids"]))


@pytest.mark.real
def test_provenance_columns_survive_the_file_and_change_nothing_in_training(tmp_path: Path, tiny: Policy) -> None:
    from datasets import load_dataset

    twin = Policy(copy.deepcopy(tiny.model), tiny.tokenizer, tiny.source)
    table = columns(rows(4))
    full = export(tmp_path / "full", table)
    bare = export(tmp_path / "bare", {name: table[name] for name in ("prompt", "chosen", "rejected")})
    loaded = load_dataset(
        "parquet", data_files=str(full / "train.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert tuple(loaded.column_names) == COLUMNS
    assert loaded[1]["orders_agree"] is None
    assert loaded[0]["decided_by"] == ["brief"]

    def losses(policy: Policy, folder: Path) -> list[float]:
        out = tmp_path / f"{folder.name}-out"
        return [step.figures["loss"] for step in trained(policy, folder, SMALL, out).steps]

    assert losses(tiny, full) == losses(twin, bare)


def ranked(counts: list[int]) -> list[TrainingRow]:
    """Prompt ``i`` with ``counts[i]`` pairs, no two of them alike; the pairs of a prompt far from each other."""
    return [
        replace(
            row,
            pair_id=f"p{i}.{place}",
            rejected=(Message("assistant", f"Well, let me think about {i} at length." + " And again." * 2 * place),),
        )
        for place in range(max(counts))
        for i, row in enumerate(rows(len(counts)))
        if place < counts[i]
    ]


def trained_on(
    policy: Policy, folder: Path, settings: DpoSettings, seed: int = 0
) -> tuple[list[list[int]], tuple[Step, ...]]:
    """The batches that the model really saw while it was trained, as the numbers of their prompts."""
    import torch

    seen: list[list[int]] = []

    def see(model: object, inputs: object, named: dict[str, Any]) -> None:
        if torch.is_grad_enabled():
            texts = policy.tokenizer.batch_decode(named["input_ids"])
            chosen = texts[: len(texts) // 2]
            seen.append(sorted(int(text.split("What is ")[1].split()[0]) for text in chosen))

    handle = policy.model.register_forward_pre_hook(see, with_kwargs=True)
    out = folder.with_name(f"{folder.name}-{settings.batch_size}-out")
    result = trained(policy, folder, settings, out, seed)
    handle.remove()
    return seen, result.steps


@pytest.mark.real
def test_no_prompt_that_fits_is_divided_between_batches_in_any_epoch(tmp_path: Path, tiny: Policy) -> None:
    counts = [3, 1, 2, 6, 1, 4, 2]
    folder = export(tmp_path / "export", columns(ranked(counts)))
    seen, steps = trained_on(tiny, folder, replace(SMALL, batch_size=4, epochs=2))
    first, second = seen[:6], seen[6:]
    for epoch in (first, second):
        assert Counter(prompt for batch in epoch for prompt in batch) == Counter(dict(enumerate(counts)))
        assert sorted(map(len, epoch)) == [1, 3, 3, 4, 4, 4]
        assert sum(batch == [3, 3, 3] for batch in epoch) == 2
        assert all(sum(prompt in batch for batch in epoch) == 1 for prompt in range(7) if prompt != 3)
    assert first != second
    assert [step.steps for step in steps] == [6] * 6


@pytest.mark.real
def test_a_step_of_unequal_batches_is_the_mean_over_its_pairs(tmp_path: Path, tiny: Policy) -> None:
    twin = Policy(copy.deepcopy(tiny.model), tiny.tokenizer, tiny.source)
    pairs = [
        replace(row, chosen=row.rejected, rejected=row.chosen) if row.prompt_id == "q1" else row
        for row in ranked([4, 1, 4])
    ]  # the pair that is alone in its batch is the one that the others disagree with
    folder = export(tmp_path / "export", columns(pairs))
    settings = replace(SMALL, epochs=2)
    batches, steps = trained_on(tiny, folder, replace(settings, batch_size=4, gradient_accumulation=3))
    whole, wanted = trained_on(twin, folder, replace(settings, batch_size=9, gradient_accumulation=1))
    assert sorted(batches[:3]) == [[0] * 4, [1], [2] * 4]
    assert whole == [[0] * 4 + [1] + [2] * 4] * 2
    figures, wished = ([dict(step.figures) for step in run[1:]] for run in (steps, wanted))
    assert figures == [pytest.approx(step, abs=1e-4) for step in wished]
    assert wanted[-1].figures["accuracy"] == pytest.approx(8 / 9)


@pytest.mark.real
def test_with_one_pair_a_prompt_the_order_is_the_one_that_the_trainer_draws(tmp_path: Path, tiny: Policy) -> None:
    import torch

    folder = export(tmp_path / "export", columns(rows(7)))
    seen, _ = trained_on(tiny, folder, SMALL, seed=5)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(5)).tolist()
    assert seen == [sorted(order[start : start + 2]) for start in range(0, 7, 2)]


@pytest.mark.real
def test_pairs_that_would_lose_an_end_are_left_out_and_counted_and_count_for_no_noise(
    tmp_path: Path, tiny: Policy
) -> None:
    table = columns(rows(4))
    table["prompt"][0] = [{"role": "user", "content": "very long " * 100}]
    table["rejected"][1] = [{"role": "assistant", "content": "very long " * 100}]
    table["epsilon"] = [0.4, 0.4, 0.1, None]
    folder = export(tmp_path / "export", table)
    settings = replace(SMALL, max_length=200, train_embeddings=True)
    before = tiny.model.get_input_embeddings().weight.clone()
    result = trained(tiny, folder, settings, tmp_path / "out")
    assert (result.rows, result.dropped) == (2, {"the same or empty": 0, "too noisy": 0, "too long": 2})
    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert record["noise"] == {"rows": 1, "mean": 0.05, "highest": 0.1}
    assert not before.equal(tiny.model.get_input_embeddings().weight)
    with pytest.raises(InputError, match="no row fits into max_length = 8 tokens"):
        trained(tiny, folder, replace(SMALL, max_length=8), tmp_path / "none")


@pytest.mark.real
def test_pairs_that_cannot_teach_are_left_out_and_counted_and_refused_where_nothing_is_left(
    tmp_path: Path, tiny: Policy
) -> None:
    table = columns(rows(4))
    table["chosen"][0] = table["rejected"][0]
    table["chosen"][1] = [{"role": "assistant", "content": " "}]
    result = trained(tiny, export(tmp_path / "export", table), SMALL, tmp_path / "out")
    assert (result.rows, result.dropped["the same or empty"]) == (2, 2)
    alike = export(tmp_path / "alike", {**table, "chosen": table["rejected"]})
    with pytest.raises(InputError, match="no row has two completions that differ, neither of them empty"):
        trained(tiny, alike, SMALL, tmp_path / "none")


@pytest.mark.real
def test_adapters_start_at_the_reference_and_end_as_plain_weights(tmp_path: Path, tiny: Policy) -> None:
    before = {name: weight.clone() for name, weight in tiny.model.state_dict().items()}
    settings = replace(SMALL, lora_rank=4, epochs=3, gradient_checkpointing=True)
    folder = export(tmp_path / "export", columns(rows(8)))
    steps = trained(tiny, folder, settings, tmp_path / "out").steps
    assert steps[0].figures["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert steps[0].figures["margin"] == pytest.approx(0, abs=1e-4)
    assert steps[-1].figures["margin"] > 0.001
    after = load_policy(tmp_path / "out").model.state_dict()
    assert set(after) == set(before)
    moved = {name for name, weight in before.items() if not weight.equal(after[name])}
    assert len(moved) == 2 * 7
    assert all("proj" in name for name in moved)


@pytest.mark.real
@pytest.mark.parametrize(
    "loss", ["robust", "ipo", "hinge", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
             "apo_zero", "apo_down", "discopop", "sigmoid_norm"],
)  # fmt: skip
def test_trls_other_losses_train_too(tmp_path: Path, tiny: Policy, loss: Any) -> None:
    folder = export(tmp_path / "export", columns(rows(2)))
    settings = replace(SMALL, loss=loss, epsilon=0.1 if loss in ("exo_pair", "robust") else 0.0)
    before = tiny.model.get_submodule("model.layers.0.mlp.up_proj").get_parameter("weight").clone()
    steps = trained(tiny, folder, settings, tmp_path / "out").steps
    assert len(steps) == 1
    assert not before.equal(tiny.model.get_submodule("model.layers.0.mlp.up_proj").get_parameter("weight"))


@pytest.mark.real
def test_a_loss_that_is_no_number_stops_training_and_writes_nothing(tmp_path: Path, tiny: Policy) -> None:
    import torch

    with torch.no_grad():
        tiny.model.get_submodule("model.norm").get_parameter("weight").fill_(float("nan"))
    folder = export(tmp_path / "export", columns(rows(4)))
    with pytest.raises(ModelError, match="the loss became nan at step 1: lower the learning rate"):
        trained(tiny, folder, SMALL, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def refuse(tmp_path: Path, folder: Path, fact: str) -> None:
    nobody = Policy(None, None, Path("none"))
    with pytest.raises(InputError, match=fact):
        trained(nobody, folder, SMALL, tmp_path / "out")


def test_what_cannot_be_trained_on_is_refused_before_anything_heavy_starts(tmp_path: Path) -> None:
    table = columns(rows(2))
    refuse(tmp_path, tmp_path / "absent", "no such file: write it again with 'solon export'")
    bare = {name: column for name, column in table.items() if name != "rejected"}
    refuse(tmp_path, export(tmp_path / "bare", bare), "has no column 'rejected'")
    refuse(tmp_path, export(tmp_path / "text", {**table, "prompt": ["Hi", "Ho"]}), "'prompt' is not a list of messages")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "train.parquet").write_bytes(b"PAR0")
    refuse(tmp_path, tmp_path / "bad", "not a Parquet file")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    folder = export(tmp_path / "export", columns(rows(1)))
    parquet.write_table(pyarrow.table(columns(rows(1))).slice(0, 0), folder / "train.parquet")
    refuse(tmp_path, folder, "has no rows")


def test_an_output_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note.txt").write_text("mine", encoding="utf-8")
    refuse(tmp_path, export(tmp_path / "export", columns(rows(1))), "already holds something")
