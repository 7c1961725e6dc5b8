"""A folder written as GGUF is the same model again when it is read back, and what would not be is refused."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.chat import Message
from generator.models.decoding import chat_text
from trainer.gguf.writing import convert_to_gguf
from trainer.models.policies import load_policy

NEEDED = ("torch", "transformers", "tokenizers", "gguf")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHAPE: dict[str, Any] = {
    "vocab_size": 288, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "tie_word_embeddings": True,
    "max_position_embeddings": 512, "initializer_range": 0.25,
}  # fmt: skip
HI = (Message("user", "Hi! 12 + 345? Über 日本 🙂"),)


def tokenizer() -> Any:
    """One token a byte and a few merges, cut as GPT-2 cuts; fewer tokens than the embeddings have rows."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the")]
    names = ["<|im_start|>", "<|im_end|>", *letters, *("".join(merge) for merge in merges)]
    bytes_only = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(names)}, merges=merges))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>",
        chat_template=TEMPLATE,
    )  # fmt: skip


def model_folder(folder: Path, kind: str = "Llama", half: bool = False, **shape: Any) -> Path:
    """A random model of two small layers. What is usually 1 or 0 is not, so that nothing goes missing unseen."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SHAPE | shape)
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    for name, weight in model.named_parameters():
        if weight.dim() == 1:
            torch.nn.init.normal_(weight, mean=float("norm" in name), std=0.2)
    (model.bfloat16() if half else model).save_pretrained(folder, max_shard_size="100KB")
    tokenizer().save_pretrained(folder)
    return folder


def logits(place: Path) -> Any:
    import torch

    policy = load_policy(place)
    with torch.inference_mode():
        return policy.model(**policy.tokenizer(chat_text(policy.tokenizer, HI), return_tensors="pt")).logits


@pytest.mark.parametrize(
    "shape", [{}, {"tie_word_embeddings": False, "head_dim": 32, "rope_theta": 5e4}, {"half": True}]
)
def test_a_model_read_back_from_float32_has_the_same_logits_and_the_same_tokens(
    tmp_path: Path, shape: dict[str, Any]
) -> None:
    folder = model_folder(tmp_path / "model", **shape)
    assert len(list(folder.glob("*.safetensors"))) > 1
    convert_to_gguf(folder, tmp_path / "model.gguf", "f32")
    assert logits(tmp_path / "model.gguf").equal(logits(folder))


@pytest.mark.parametrize(("kind", "bound"), [("f16", 0.01), ("q8_0", 0.2)])
def test_matrices_alone_are_stored_as_asked(tmp_path: Path, kind: Any, bound: float) -> None:
    import gguf
    from safetensors.torch import load_file, save_file

    folder = model_folder(tmp_path / "model")
    first = min(folder.glob("*.safetensors"))
    tensors = load_file(first)  # some save the embeddings a second time as what they are tied to
    save_file({**tensors, "lm_head.weight": next(iter(tensors.values())).clone()}, first)
    convert_to_gguf(folder, tmp_path / "model.gguf", kind)
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    assert {tensor.tensor_type.name.lower() for tensor in stored.values() if len(tensor.shape) > 1} == {kind}
    assert {tensor.tensor_type.name for tensor in stored.values() if len(tensor.shape) == 1} == {"F32"}
    assert "output.weight" not in stored  # tied: llama.cpp takes the embeddings
    assert 0 < (logits(tmp_path / "model.gguf") - logits(folder)).abs().mean() < bound


def test_the_file_says_what_the_folder_says_of_tokens_template_and_shape(tmp_path: Path) -> None:
    import gguf

    folder = model_folder(tmp_path / "model", kind="Mistral", sliding_window=128)
    convert_to_gguf(folder, tmp_path / "model.gguf", "f16")
    said = {name: field.contents() for name, field in gguf.GGUFReader(tmp_path / "model.gguf").fields.items()}
    assert said["general.architecture"] == "llama"
    assert said["llama.context_length"] == 128  # what the model can look back on
    assert (said["llama.attention.head_count"], said["llama.attention.head_count_kv"]) == (4, 2)
    assert said["tokenizer.chat_template"] == TEMPLATE
    assert said["tokenizer.ggml.merges"] == ["t h", "th e", "Ġ the"]
    assert said["tokenizer.ggml.tokens"][:2] == ["<|im_start|>", "<|im_end|>"]
    assert said["tokenizer.ggml.tokens"][261:] == [f"[PAD{number}]" for number in range(261, 288)]
    assert said["tokenizer.ggml.token_type"] == [3, 3] + [1] * 259 + [5] * 27
    assert (said["tokenizer.ggml.eos_token_id"], said["tokenizer.ggml.add_bos_token"]) == (1, False)


def refused(folder: Path, fact: str) -> None:
    file = folder.with_name("refused.gguf")
    with pytest.raises(InputError, match=fact):
        convert_to_gguf(folder, file)
    assert not file.exists()


@pytest.mark.parametrize(
    ("shape", "fact"),
    [
        ({"kind": "GPTNeoX", "num_key_value_heads": None}, "type 'gpt_neox', not one of llama, mistral, qwen2"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "scales its positions by 'linear'"),
    ],
)
def test_a_model_that_llama_cpp_would_compute_otherwise_is_refused(
    tmp_path: Path, shape: dict[str, Any], fact: str
) -> None:
    refused(model_folder(tmp_path / "model", **shape), fact)


def test_a_tokenizer_that_cuts_text_in_a_way_of_its_own_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    file = folder / "tokenizer.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    cut = {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False}
    for change, fact in (
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [cut, whole["pre_tokenizer"]]}},
            r"not known here \(\\w\+",
        ),
        ({"model": whole["model"] | {"byte_fallback": True}}, "no byte-level BPE tokenizer"),
    ):
        file.write_text(json.dumps(whole | change), encoding="utf-8")
        refused(folder, fact)


def test_a_folder_without_weights_or_with_a_tensor_of_another_model_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = model_folder(tmp_path / "model")
    files = sorted(folder.glob("*.safetensors"))
    tensors = load_file(files[0])
    save_file({**tensors, "model.adapter.weight": next(iter(tensors.values())).clone()}, files[0])
    refused(folder, "a tensor 'model.adapter.weight'")
    for file in files:
        file.unlink()
    refused(folder, "holds no safetensors weights")
    refused(tmp_path / "nowhere", "not a model that can be loaded")
