"""What evaluation asks of models: the divergence is exact, and texts lie where their meaning is."""

import itertools
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from generator.chat import Message
from generator.prompts import Prompt
from trainer.evaluation.embeddings import embed, embed_samples
from trainer.evaluation.kl import kl_per_prompt
from trainer.models.policies import Policy

NEEDED = ("torch", "transformers", "tokenizers")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
WORDS = ("<end>", "a", "b", "ask")
PROMPT = Prompt("q", (Message("user", "ask b"),))


def policy(seed: int, words: tuple[str, ...] = WORDS) -> Policy:
    """Two small layers over a vocabulary of words, the first of which ends a turn."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer: Any = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=words[0])
    fast.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, initializer_range=0.8,
    )  # fmt: skip
    return Policy(LlamaForCausalLM(shape).eval(), fast, Path("tiny"))


def log_prob(model: Any, asked: list[int], said: tuple[int, ...]) -> float:
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*asked, *said]])).logits[0].double().log_softmax(-1)
    return float(sum(logits[len(asked) - 1 + place, token] for place, token in enumerate(said)))


def test_over_all_completions_the_divergence_is_that_of_the_whole_distributions() -> None:
    ours, theirs = policy(1), policy(2)
    asked = [3, 2]
    expected = 0.0
    for said in itertools.product(range(len(WORDS)), repeat=3):  # what two tokens and the one that follows can be
        one, other = (log_prob(side.model, asked, said) for side in (ours, theirs))
        expected += math.exp(one) * (one - other)
    found = 0.0
    for said in itertools.product(range(len(WORDS)), repeat=2):
        text = " ".join(WORDS[token] for token in said)
        found += math.exp(log_prob(ours.model, asked, said)) * kl_per_prompt(ours, theirs, [PROMPT], [[text]])[0]
    assert found == pytest.approx(expected, rel=1e-5)
    assert expected > 0.1


def test_a_policy_does_not_diverge_from_itself_and_a_prompts_figure_is_the_mean_of_its_samples() -> None:
    ours, theirs = policy(1), policy(2)
    assert kl_per_prompt(ours, ours, [PROMPT] * 2, [["a b"], [""]]) == [0.0, 0.0]
    apart = [kl_per_prompt(ours, theirs, [PROMPT], [[text]])[0] for text in ("a b ask", "b")]
    assert kl_per_prompt(ours, theirs, [PROMPT], [["a b ask", "b"]]) == pytest.approx([sum(apart) / 2])


def test_two_vocabularies_have_no_divergence() -> None:
    with pytest.raises(ValueError, match="different vocabularies"):
        kl_per_prompt(policy(1), policy(1, (*WORDS, "d")), [PROMPT], [["a"]])


def test_texts_are_vectors_of_unit_length_and_an_empty_one_is_too() -> None:
    import numpy as np
    import torch

    ours = policy(1)
    vectors = embed(ours, ["a b", "b ask a", "", "a b"])
    assert vectors.shape == (4, 16)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=-1) == pytest.approx([1.0] * 4, abs=1e-6)
    assert np.array_equal(vectors[0], vectors[3])
    with_end = ours.model(torch.tensor([[0, 1, 2]]), output_hidden_states=True).hidden_states[-1][0].detach().numpy()
    mean = with_end[1:].mean(axis=0)  # "a b", without the token before it
    assert vectors[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    samples = embed_samples(ours, [["a b", "b ask a"], ["", "a b"]])
    assert np.array_equal(samples.reshape(4, 16), vectors)
