"""Which models are kin: a judge favours what it could have written itself.

A family is a maker's line of models: what one house trains shares data, teachers and manner. Gemma therefore
counts with Gemini, gpt-oss with GPT-4 and Tülu with OLMo. A model that was trained on from another's weights,
or distilled out of it, belongs to both houses. Names are all there is to go by: a model that was trained here
out of another, and is named by a path of its own, looks like a stranger.
"""

import re

# A name is lower-cased and searched as a whole, since makers stand in its organisation as well as in its model.
START = r"(?:^|[/:])"  # where a part of the name begins
WORD = r"(?<![a-z])"  # where a word begins
FAMILIES = {
    "AI21": rf"{WORD}jamba|ai21",
    "Ai2": rf"{WORD}olmoe?(?![a-z])|{WORD}molmo|t[uü]lu|allenai",
    "Amazon": rf"amazon[./]|{WORD}nova-(?:\d|pro|lite|micro|premier|sonic)|titan-text",
    "Baidu": rf"{WORD}ernie",
    "ByteDance": rf"doubao|bytedance|{WORD}seed-(?:oss|\d)",
    "Claude": r"claude|anthropic",
    "Cohere": rf"{WORD}command(?:-|$)|c4ai|{WORD}aya-|cohere",
    "DeepSeek": r"deepseek",
    "Falcon": rf"tiiuae|{WORD}falcon-?\d",
    "Google": rf"gemini|gemma|learnlm|medlm|{WORD}palm-?2|text-bison|chat-bison",
    "GLM": rf"{WORD}(?:chat)?glm(?![a-z])|zhipu|{WORD}z-ai/|{WORD}zai-org",
    "Granite": rf"{WORD}granite|ibm-",
    "Grok": rf"{WORD}grok(?![a-z])|{WORD}x-?ai/",
    "Hugging Face": r"smollm|smolvlm|huggingfacetb",
    "Hunyuan": r"hunyuan",
    "InternLM": r"internlm|internvl|intern-s\d",
    "EXAONE": r"exaone",
    "Kimi": rf"{WORD}kimi|moonshot",
    "Llama": r"(?<!o)llama(?!\.?cpp|-cpp|file|index)|vicuna|alpaca|guanaco|t[uü]lu",
    "MiniMax": r"minimax",
    "Mistral": rf"mistral|mixtral|(?:mini|code|dev|magi|math|vox)stral|pixtral|{WORD}zephyr",
    "NVIDIA": r"nemotron|nvidia/|nvidia\.",
    "OpenAI": rf"chatgpt|{WORD}gpt-?[2-9](?!all)|gpt-oss|{START}o[1-9](?![a-z0-9])|davinci|codex",
    "Phi": rf"{WORD}phi-?\d|{WORD}phi-?(?:mini|small|medium|silica)",
    "Qwen": rf"qwen|{WORD}q[wv]q(?![a-z])|{WORD}marco-o1",
    "Reka": rf"{WORD}reka",
    "Solar": rf"{WORD}solar-(?:\d|pro|mini)|upstage",
    "StableLM": r"stablelm|stable-(?:lm|code|beluga)",
    "Yi": rf"{WORD}yi-(?:\d|large|medium|lightning|vision|coder)|01-ai",
}
PATTERNS = {name: re.compile(pattern) for name, pattern in FAMILIES.items()}


def families(model: str) -> frozenset[str]:
    """The families that a model's name tells of, in any endpoint's spelling; none where it tells of none."""
    name = model.strip().casefold()
    return frozenset(family for family, pattern in PATTERNS.items() if pattern.search(name))


def same_family(one: str, other: str) -> str | None:
    """What two models share: their families, in words, or the name that both have; None where they are strangers."""
    if shared := families(one) & families(other):
        return " and ".join(sorted(shared))
    name = one.strip().rstrip("/")
    return name if name and name.casefold() == other.strip().rstrip("/").casefold() else None
