import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.families import families, same_family

NAMES = {
    "OpenAI": "gpt-4o-2024-08-06 openai/gpt-4.1-mini o3 o1-preview openai/o4-mini chatgpt-4o-latest gpt-oss-20b "
    "ft:gpt-4o-mini-2024-07-18:org::id gpt-35-turbo gpt2-medium text-davinci-003",
    "Claude": "claude-sonnet-4 us.anthropic.claude-3-5-sonnet-20241022-v2:0 anthropic/claude",
    "Llama": "meta-llama/Llama-3.1-8B-Instruct meta.llama3-1-8b-instruct-v1:0 CodeLlama-7b ollama/llama3 "
    "groq/llama-3 vicuna-7b-v1.5 alpaca-7b dolphin-2.9-llama3",
    "Qwen": "Qwen/Qwen3-8B qwq QwQ-32B ollama/qwen2.5 models--Qwen--Qwen2.5-7B-Instruct/snapshots/abc Marco-o1",
    "Mistral": "mistralai/Mistral-7B-v0.1 mixtral-8x7b ministral-8b open-mistral-nemo codestral-latest pixtral-12b "
    "magistral-small zephyr-7b-beta",
    "Google": "gemma-2-9b-it google/gemma-3 gemini-1.5-pro publishers/google/models/gemini-2.0-flash",
    "DeepSeek": "deepseek-chat deepseek-ai/DeepSeek-V3",
    "Phi": "microsoft/Phi-3-mini-4k-instruct phi4",
    "Hugging Face": "SmolLM2-135M-Instruct /opt/llama.cpp/models/smollm2.gguf",
    "Cohere": "command-r-plus command cohere.command-r-v1:0 CohereForAI/aya-23",
    "GLM": "glm-4 THUDM/glm-4-9b chatglm3-6b",
    "Kimi": "kimi-k2 moonshot-v1-8k",
    "Grok": "grok-2 x-ai/grok-beta",
    "Amazon": "nova-pro amazon.nova-lite-v1:0",
    "Ai2": "allenai/OLMo-2-1124-7B",
}
ONE_FAMILY = [(family, name) for family, names in NAMES.items() for name in names.split()]
MIXED = {
    "DeepSeek-R1-Distill-Qwen-7B": {"DeepSeek", "Qwen"},
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": {"DeepSeek", "Llama"},
    "allenai/Llama-3.1-Tulu-3-8B": {"Ai2", "Llama"},
    "nvidia/Llama-3.1-Nemotron-70B": {"NVIDIA", "Llama"},
}
STRANGERS = (
    "my-model runs/demo/policy rambler openrouter/auto ~/.ollama/models/blobs/sha256-1 llama.cpp llama-cpp/x vllm/x "
    "llamafile EleutherAI/gpt-neo-2.7B gpt-j-6b gpt4all-13b microsoft/DialoGPT-medium LLaVA-o1 sophia-2 pro1 "
    "supernova-lite falconry metaphor commander"
)


@pytest.mark.parametrize(("family", "name"), ONE_FAMILY)
def test_a_model_is_known_in_any_endpoints_spelling(family: str, name: str) -> None:
    assert families(name) == {family}
    assert families(f"  {name.upper()} ") == {family}


@pytest.mark.parametrize("name", MIXED)
def test_a_model_made_out_of_anothers_weights_belongs_to_both(name: str) -> None:
    assert families(name) == MIXED[name]


@pytest.mark.parametrize("name", STRANGERS.split())
def test_a_name_that_tells_of_no_family_has_none(name: str) -> None:
    assert families(name) == frozenset()


def test_kin_are_found_across_names_and_endpoints() -> None:
    assert same_family("o3", "openai/gpt-4.1-mini") == "OpenAI"
    assert same_family("gemma-2-9b-it", "gemini-1.5-pro") == "Google"
    assert same_family("DeepSeek-R1-Distill-Qwen-7B", "qwq-32b") == "Qwen"
    assert same_family("nvidia/Llama-3.1-Nemotron-70B", "nvidia/Llama-3.3-Nemotron") == "Llama and NVIDIA"


def test_different_families_and_different_strangers_are_no_kin() -> None:
    assert same_family("claude-sonnet-4", "gpt-4o") is None
    assert same_family("my-model-7b", "my-model-70b") is None
    assert same_family("my-model", "gpt-4o") is None
    assert same_family("", "") is None


def test_two_strangers_of_one_name_or_path_are_the_same() -> None:
    assert same_family("My-Model", "my-model ") == "My-Model"
    assert same_family("runs/demo/policy/", "runs/demo/policy") == "runs/demo/policy"


@given(st.text(max_size=40), st.text(max_size=40))
def test_kinship_is_mutual_and_every_name_is_kin_to_itself(one: str, other: str) -> None:
    assert (same_family(one, other) is None) == (same_family(other, one) is None)
    assert (same_family(one, one) is not None) == bool(one.strip().rstrip("/") or families(one))
