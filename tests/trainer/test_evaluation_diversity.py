"""Diversity among samples: by words and by meaning, between none and all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.evaluation.diversity import bleu, self_bleu, spreads

pytest.importorskip("numpy", reason="needs the 'train' extra")

TEXT = st.lists(st.sampled_from("abcdef"), max_size=9).map(" ".join)


def test_samples_that_are_all_alike_have_self_bleu_one_and_no_spread() -> None:
    import numpy as np

    assert self_bleu(["the cat sat on the mat"] * 3) == 1.0
    assert self_bleu(["", ""]) == 1.0
    assert spreads(np.ones((1, 3, 1), dtype=np.float32)) == [0.0]


def test_samples_that_share_no_word_have_self_bleu_zero() -> None:
    assert self_bleu(["one two three", "four five six", ""]) == 0.0


def test_bleu_is_what_it_is_by_hand() -> None:
    # single words 3 of 4, couples (1 + 1) of (3 + 1), threes 1 of 3, fours 1 of 2; as long as the other
    assert bleu("a b c d".split(), ["a b x d".split()]) == pytest.approx((3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25)
    # single words 2 of 2, couples 2 of 2; half as long as the other
    assert bleu("a b".split(), ["a b c d".split()]) == pytest.approx(2.718281828 ** (1 - 4 / 2))


def test_a_word_counts_as_often_as_it_stands_in_one_other_text() -> None:
    assert bleu(["a", "a"], [["a"], ["a"]]) == pytest.approx((1 / 2 * 1 / 2) ** 0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=4))
def test_self_bleu_lies_between_zero_and_one_whatever_the_order(texts: list[str]) -> None:
    found = self_bleu(texts)
    assert 0.0 <= found <= 1.0 + 1e-12
    assert self_bleu(texts[::-1]) == pytest.approx(found)


def test_the_spread_is_one_minus_the_mean_cosine_of_two_samples() -> None:
    import numpy as np

    vectors = np.random.default_rng(0).normal(size=(2, 4, 5))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    by_hand = [1 - np.mean([prompt[i] @ prompt[j] for i in range(4) for j in range(4) if i != j]) for prompt in vectors]
    assert spreads(vectors.astype(np.float32)) == pytest.approx(by_hand, abs=1e-6)
