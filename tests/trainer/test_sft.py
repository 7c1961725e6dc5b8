"""Supervised training learns the accepted revisions, each once and to its end, and refuses what teaches nothing."""

import errno
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError, StorageError
from generator.chat import Message
from trainer.models.policies import Policy, load_policy, save_policy
from trainer.models.sampling import sample
from trainer.online.pretraining import imitated
from trainer.settings import SftSettings, Take
from trainer.sft import train_sft
from trainer.steps import Job, Step, Trained

NEEDED = ("torch", "transformers", "accelerate", "trl", "peft", "datasets", "pyarrow", "tokenizers")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
WORDS = "zero one two three four five six seven eight nine plus is and more ? !"
TURN = "<{{ m.role }}> {{ m.content }} "
TEMPLATE = "{% for m in messages %}" + TURN + "<end> {% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
SMALL = SftSettings(
    learning_rate=3e-2, batch_size=5, gradient_accumulation=2, epochs=20, bf16=False, train_embeddings=True,
    max_length=32,
)  # fmt: skip


def tokenizer() -> Any:
    """Of a few words, with a chat template that has no marks for training, and without a pad token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unknown>", "<end>", "<user>", "<assistant>", *WORDS.split()]
    numbered = {word: number for number, word in enumerate(vocabulary)}
    made = Tokenizer(models.WordLevel(numbered, unk_token="<unknown>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<end>", unk_token="<unknown>", chat_template=TEMPLATE
    )


@pytest.fixture
def base(tmp_path: Path) -> Policy:
    """A random model of two small layers, loaded from a folder as any other."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=4 + len(WORDS.split()), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64, eos_token_id=1, bos_token_id=1, pad_token_id=None,
    )  # fmt: skip
    save_policy(Policy(LlamaForCausalLM(shape), tokenizer(), Path("made here")), tmp_path / "base")
    return load_policy(tmp_path / "base")


Row = dict[str, Any]
TAUGHT = "one more"


def rows(count: int) -> list[Row]:
    """Revisions that all say the same two words, and beside each a draft that was chosen and says others."""
    return [
        {
            "prompt": [{"role": "user", "content": f"{prompt} plus one ?"}],
            "chosen": [{"role": "assistant", "content": said}],
            "rejected": [{"role": "assistant", "content": "nine nine nine nine"}],
            "revised": revised,
        }
        for prompt in WORDS.split()[:count]
        for said, revised in ((TAUGHT, True), ("zero zero zero zero zero", False), (TAUGHT, True))
    ]


def lengthened(written: list[Row]) -> list[Row]:
    """The same, the first prompt longer than the others, so that these are padded."""
    for row in written[:3]:
        row["prompt"][0]["content"] = "zero zero zero plus one ?"
    return written


def export(folder: Path, written: list[Row]) -> Path:
    import pyarrow
    from pyarrow import parquet

    folder.mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(written), folder / "train.parquet")
    return folder


def trained(policy: Policy, folder: Path, settings: SftSettings, out: Path) -> tuple[Trained, list[Step]]:
    seen: list[Step] = []
    return train_sft(policy, settings, Job(folder, out, 0, seen.append)), seen


@pytest.mark.real
def test_a_policy_learns_the_revisions_and_to_stop_though_it_pads_with_the_token_that_ends_them(
    base: Policy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert base.tokenizer.pad_token == "<end>"
    written = lengthened(rows(10))
    folder = export(tmp_path / "export", written)
    asked = [(Message("user", f"{word} plus one ?"),) for word in ("two", "seven", "nine")]
    assert not any(said.text == TAUGHT for said in sample(base, asked, max_tokens=6, batch_size=3))

    result, seen = trained(base, folder, SMALL, tmp_path / "out")

    assert capfd.readouterr() == ("", "")
    assert (result.rows, result.dropped) == (10, {"too long": 0})  # each revision once, no draft
    assert result.steps == tuple(seen)
    assert len(seen) == 20
    assert set(seen[0].figures) == {"loss", "token_accuracy", "entropy"}
    assert seen[0].figures["loss"] == pytest.approx(3.0, abs=0.3)  # log of twenty words
    assert seen[-1].figures["loss"] < 0.1
    assert result.tokens == 20 * (10 * 10 + 2)
    after = load_policy(tmp_path / "out")
    completions = sample(after, asked, max_tokens=6, batch_size=3)
    assert [(said.text, said.finish) for said in completions] == [(TAUGHT, "stop")] * 3
    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert (record["method"], record["base"], record["rows"]) == ("sft", "base", 10)


@pytest.mark.real
def test_the_loss_is_that_of_the_completion_with_its_end_and_of_no_padding(base: Policy, tmp_path: Path) -> None:
    import torch

    written = lengthened(rows(2))
    learnt: list[list[str]] = []

    def see(model: object, inputs: object, named: dict[str, Any]) -> None:
        taught = [row[row != -100].tolist() for row in named["labels"]]
        learnt.extend(base.tokenizer.convert_ids_to_tokens(row) for row in taught)
        assert named["input_ids"][named["attention_mask"] == 0].unique().tolist() == [1]

    handle = base.model.register_forward_pre_hook(see, with_kwargs=True)
    trained(base, export(tmp_path / "export", written), replace(SMALL, epochs=1), tmp_path / "out")
    handle.remove()
    assert learnt == [["one", "more", "<end>"]] * 2
    assert torch.is_tensor(base.model.get_input_embeddings().weight)


@pytest.mark.real
def test_every_chosen_completion_can_be_taken_and_the_same_one_is_learnt_once(base: Policy, tmp_path: Path) -> None:
    settings = replace(SMALL, take="chosen", epochs=1)
    result, _ = trained(base, export(tmp_path / "export", rows(4)), settings, tmp_path / "out")
    assert result.rows == 8


@pytest.mark.real
def test_adapters_are_merged_into_plain_weights_and_move_no_others(base: Policy, tmp_path: Path) -> None:
    before = {name: weight.clone() for name, weight in base.model.state_dict().items()}
    settings = replace(SMALL, lora_rank=8, train_embeddings=False, epochs=30, gradient_checkpointing=True)
    _, seen = trained(base, export(tmp_path / "export", rows(10)), settings, tmp_path / "out")
    assert seen[-1].figures["loss"] < seen[0].figures["loss"] - 0.3
    after = load_policy(tmp_path / "out").model.state_dict()
    assert set(after) == set(before)
    moved = {name for name, weight in before.items() if not weight.equal(after[name])}
    assert len(moved) == 2 * 7
    assert all("proj" in name for name in moved)
    with pytest.raises(InputError, match="adapters leave the embeddings as they are"):
        trained(base, tmp_path / "export", replace(SMALL, lora_rank=8), tmp_path / "other")


@pytest.mark.real
def test_a_row_that_would_lose_its_end_is_left_out_and_counted(base: Policy, tmp_path: Path) -> None:
    written = rows(4)
    longest = 11  # tokens of "<user> zero plus one ? and <end> <assistant> one more <end>"
    written[0]["prompt"][0]["content"] += " and"
    folder = export(tmp_path / "export", written)
    result, _ = trained(base, folder, replace(SMALL, epochs=1, max_length=longest), tmp_path / "all")
    assert (result.rows, result.dropped) == (5, {"too long": 0})
    result, _ = trained(base, folder, replace(SMALL, epochs=1, max_length=longest - 1), tmp_path / "out")
    assert (result.rows, result.dropped) == (4, {"too long": 1})
    with pytest.raises(InputError, match="no row fits into max_length = 9 tokens: raise max_length"):
        trained(base, folder, replace(SMALL, max_length=9), tmp_path / "none")
    for row in written:
        row["prompt"][0]["content"] = "and " * 59
    beyond = export(tmp_path / "beyond", written)
    with pytest.raises(InputError, match="no row fits into the model's context of 64 tokens: take shorter prompts"):
        trained(base, beyond, replace(SMALL, max_length=256), tmp_path / "none")


@pytest.mark.real
def test_what_is_kept_in_mind_beside_rewards_is_chosen_by_the_same_rule(base: Policy, tmp_path: Path) -> None:
    folder = export(tmp_path / "export", rows(2))

    def words(take: Take) -> list[list[str]]:
        turns = imitated(base, folder, 32, str(tmp_path), take=take)
        return [base.tokenizer.convert_ids_to_tokens(list(turn.tokens)) for turn in turns]

    revisions = ["one", "more", "<end>"]
    assert words("revisions") == [revisions] * 2
    assert words("chosen") == [revisions, ["zero"] * 5 + ["<end>"]] * 2
    drafts = export(tmp_path / "drafts", [{**row, "revised": False} for row in rows(2)])
    with pytest.raises(InputError, match=r"no chosen completion is a revision: write take = \"chosen\" under \[ppo\]"):
        imitated(base, drafts, 32, str(tmp_path), take="revisions")


def refuse(policy: Policy, folder: Path, settings: SftSettings, fact: str) -> None:
    out = folder.with_name("refused")
    with pytest.raises(InputError, match=fact):
        trained(policy, folder, settings, out)
    assert not out.exists()


@pytest.mark.real
def test_what_teaches_nothing_is_refused_and_nothing_is_written(base: Policy, tmp_path: Path) -> None:
    drafts = [{**row, "revised": False} for row in rows(2)]
    refuse(base, export(tmp_path / "drafts", drafts), SMALL, "no chosen completion is a revision: write take")
    empty = [{**row, "chosen": [{"role": "assistant", "content": " "}]} for row in rows(2)]
    refuse(base, export(tmp_path / "empty", empty), replace(SMALL, take="chosen"), "every completion is empty")
    silent = [{name: cell for name, cell in row.items() if name != "revised"} for row in rows(2)]
    refuse(base, export(tmp_path / "silent", silent), SMALL, "do not say which completions are revisions")
    refuse(base, tmp_path / "absent", SMALL, "no such file")
    base.tokenizer.chat_template = TEMPLATE.replace("<end> ", "")
    refuse(base, export(tmp_path / "endless", rows(2)), SMALL, "ends a completion with no token that the model stops")


@pytest.mark.real
def test_a_loss_that_is_no_number_stops_training_and_writes_nothing(base: Policy, tmp_path: Path) -> None:
    import torch

    with torch.no_grad():
        base.model.get_submodule("model.norm").get_parameter("weight").fill_(float("nan"))
    with pytest.raises(ModelError, match="the loss became nan at step 1"):
        trained(base, export(tmp_path / "export", rows(2)), SMALL, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_weights_that_the_last_step_made_no_numbers_are_not_written(base: Policy, tmp_path: Path) -> None:
    base.model.get_parameter("model.layers.0.mlp.up_proj.weight").register_hook(lambda slope: slope * float("nan"))
    with pytest.raises(ModelError, match=r"\d+ weights are no longer numbers \(model\..*\): lower the learning rate"):
        trained(base, export(tmp_path / "export", rows(2)), replace(SMALL, epochs=1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_a_full_disk_is_said_in_one_line_and_leaves_nothing_half_written(base: Policy, tmp_path: Path) -> None:
    class FullDisk:
        """A model that gets half of itself onto the disk."""

        def save_pretrained(self, folder: Path) -> None:
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    half: Any = FullDisk()
    with pytest.raises(StorageError, match="out: the disk is full: make room"):
        save_policy(Policy(half, base.tokenizer, base.source), tmp_path / "out")
    assert not (tmp_path / "out").exists()
