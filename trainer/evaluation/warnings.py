"""What is worth a sentence, whether or not a guard trips."""

from trainer.evaluation.measures import DISTINCT, MEAN_WORDS, Evaluation

FEW_WORDS = 8  # below this a completion hardly says anything
SHRUNK = 0.25  # of the base's words, or less
REPETITIVE = 0.7  # of the base's share of distinct n-grams, or less


def collapse_warnings(evaluation: Evaluation) -> tuple[str, ...]:
    """What training broke, a sentence each: little left to read, repetition, a rule kept less often."""
    return (*short_warnings(evaluation), *repetition_warnings(evaluation), *rule_warnings(evaluation))


def short_warnings(evaluation: Evaluation) -> list[str]:
    length = evaluation.get(MEAN_WORDS)
    if length is None or length.trained >= length.base:
        return []
    if length.trained >= FEW_WORDS and length.trained >= SHRUNK * length.base:
        return []
    return [
        f"Completions fell from {length.base:.0f} to {length.trained:.0f} words on average: read some, "
        "they may say nothing any more. A principle that asks for enough words holds against it."
    ]


def repetition_warnings(evaluation: Evaluation) -> list[str]:
    found = [m for m in evaluation.measures if m.name in DISTINCT.values() and m.high < 0]
    return [
        f"Completions repeat themselves or each other: {m.name} fell from {m.base:.2f} to {m.trained:.2f}."
        for m in found
        if m.trained <= REPETITIVE * m.base
    ]


def rule_warnings(evaluation: Evaluation) -> list[str]:
    found = [m for m in evaluation.measures if m.rule and m.high < 0]
    return [
        f"Principle {m.name!r} is kept less often than before: {m.base:.0%} fell to {m.trained:.0%} "
        f"of completions (95 % interval of the difference: {m.low:+.0%} to {m.high:+.0%})."
        for m in found
    ]
