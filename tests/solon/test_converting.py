"""`solon convert` asks llama.cpp before it believes the file that it wrote."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError
from solon.converting import BOUNDS, FirstToken, convert, difference, largest_difference
from trainer.gguf.writing import convert_to_gguf
from trainer.models.policies import load_policy

NEEDED = ("torch", "transformers", "tokenizers", "gguf", "xllamacpp")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip


def model_folder(folder: Path, kind: str = "Llama", **shape: Any) -> Path:
    """A random model of two small layers whose words are bytes, and whose attention matters."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    names = ["<|im_start|>", "<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "th"]
    bytes_only = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(names)}, merges=[("t", "h")]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, bos_token="<|im_start|>", eos_token="<|im_end|>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    usual = {
        "vocab_size": 259, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 1,
        "tie_word_embeddings": True, "max_position_embeddings": 512, "initializer_range": 0.2,
    }  # fmt: skip
    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**usual | shape))
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("Llama", {"head_dim": 32, "tie_word_embeddings": False}),
        ("Llama", {"rope_parameters": LLAMA3}),
        ("Mistral", {}),
        ("Qwen2", {}),
    ],
)
def test_llama_cpp_says_what_transformers_says_in_every_shape(tmp_path: Path, kind: str, shape: dict[str, Any]) -> None:
    folder = model_folder(tmp_path / "model", kind, **shape)
    told = convert(folder, tmp_path / "models" / "model.gguf", "f32")
    assert told.data["largest_difference"] < BOUNDS["f32"]
    assert [file.name for file in (tmp_path / "models").iterdir()] == ["model.gguf"]


def test_a_file_of_other_weights_differs_by_far_more_than_rounding(tmp_path: Path) -> None:
    """Positions scaled otherwise are the smallest mistake that a converter can make."""
    plain, scaled = (model_folder(tmp_path / name, **shape) for name, shape in (("a", {}), ("b", {"rope_theta": 1e6})))
    convert_to_gguf(plain, tmp_path / "plain.gguf", "f32")
    assert largest_difference(load_policy(scaled), tmp_path / "plain.gguf") > BOUNDS["q8_0"]


def test_prompts_that_are_read_otherwise_are_never_near() -> None:
    ours = FirstToken(5, {0: -1.0, 1: -2.0, 2: -3.0})
    assert difference(ours, FirstToken(5, {0: -1.0, 1: -2.5})) == 0.5
    assert difference(ours, FirstToken(6, {0: -1.0})) == float("inf")


def test_a_model_that_does_not_come_out_the_same_leaves_no_file(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    described = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    described["normalizer"] = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}  # llama.cpp has none
    (folder / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(ModelError, match=r"inf nats, and rounding explains 0\.1: nothing was written"):
        convert(folder, tmp_path / "model.gguf", "f16")
    assert not list(tmp_path.glob("*.gguf*"))


def test_what_is_no_policy_or_is_there_already_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there.gguf").write_bytes(b"mine")
    (tmp_path / "reward").mkdir()
    (tmp_path / "reward" / "training.json").write_text('{"method": "reward"}', encoding="utf-8")
    for model, file, fact in (
        ("none", "new.gguf", "is no folder: name the folder of a trained policy"),
        ("reward", "there.gguf", "is there already: name a new file; nothing is overwritten"),
        ("reward", "new.gguf", "is a reward model"),
    ):
        with pytest.raises(InputError, match=fact):
            convert(tmp_path / model, tmp_path / file, "f16")
    assert (tmp_path / "there.gguf").read_bytes() == b"mine"
