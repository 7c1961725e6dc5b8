"""Inverse Constitutional AI's dataset: principles are to be found again from what was preferred.

Annotated pairs, version 2: who is preferred is the default annotator's word, and every principle of the run is an
annotator beside it, so that what is found can be held against what was applied. Which completion is ``a`` is drawn
by the pair's id: the chosen one first each time would teach nothing but its place.

Source: inverse-cai 0.4.8, ``data/annotated_pairs_format.py`` and ``data/loader/standard.py``. Of the forms that it
takes only this one keeps a completion such as "None" a text. A prompt of one message stands as it is, a longer one
with the role before each message.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from constitution.identity import short_id, unit_interval
from trainer.formats.examples import Conversation, Side
from trainer.formats.tables import Files
from trainer.pairs.rows import TrainingRow

PREFERRED = "ba751e7b"  # the annotator that Feedback Forensics shows all others beside: the first 8 digits of the MD5
DESCRIPTION = "Default annotator from original dataset (from column `preferred_text`)"  # of this sentence
METADATA = ("prompt_id", "chosen_id", "rejected_id", "p_chosen", "label_source")


def files(train: Side, test: Side, name: str, rules: Mapping[str, str]) -> Files:
    """``name`` is the dataset's; ``rules`` are those of the principles, by id."""
    return {"train.json": annotated(train, name, rules), "test.json": annotated(test, name, rules)}


def annotated(side: Side, name: str, rules: Mapping[str, str]) -> str:
    """The file, which must begin with its metadata; empty without a pair. Only annotators that say something."""
    if not side.pairs:
        return ""
    comparisons = [comparison(row) for row in side.pairs]
    judges = sorted({judge for row in side.pairs for judge in verdicts(row)})
    principles = {
        annotator(*judge): {"name": named(*judge), "description": rule(*judge, rules), "type": "principle"}
        for judge in judges
    }
    preferred = {"name": "preferred_text", "description": DESCRIPTION, "type": "unknown"}
    metadata = {
        "version": "2.0",
        "description": "Preference pairs that Solon made under written principles",
        "dataset_name": name,
        "default_annotator": PREFERRED,
        "available_metadata_keys_per_comparison": METADATA,
    }
    told = {"metadata": metadata, "annotators": {PREFERRED: preferred, **principles}, "comparisons": comparisons}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def comparison(row: TrainingRow) -> dict[str, Any]:
    first = chosen_is_a(row)
    completions = (row.chosen, row.rejected) if first else (row.rejected, row.chosen)
    annotations = {PREFERRED: {"pref": "a" if first else "b"}}
    said = {annotator(*judge): opinion(p_chosen, first) for judge, p_chosen in verdicts(row).items()}
    return {
        "id": row.pair_id,
        "prompt": told(row.prompt),
        "response_a": {"text": completions[0][0].content},
        "response_b": {"text": completions[1][0].content},
        "annotations": {**annotations, **said},
        "metadata": {name: str(getattr(row, name)) for name in METADATA},
    }


def chosen_is_a(row: TrainingRow) -> bool:
    return unit_interval("icai", row.pair_id) < 0.5


def opinion(p_chosen: float | None, chosen_first: bool) -> dict[str, str | None]:
    """What a principle says of the pair; none of the two where it is a tie or there is no verdict."""
    if p_chosen is None or p_chosen == 0.5:
        return {"pref": None, "no_pref_reason": "invalid" if p_chosen is None else "neither"}
    return {"pref": "a" if (p_chosen > 0.5) == chosen_first else "b"}


def verdicts(row: TrainingRow) -> dict[tuple[str, str], float | None]:
    """By principle and judge, which is empty for a check, the chance that ``chosen`` follows it better."""
    return {(one["principle"], one["judge"]): one["p_chosen"] for one in stated(row)}


def stated(row: TrainingRow) -> Iterator[dict[str, Any]]:
    yield from json.loads(row.verdicts)


def annotator(principle: str, judge: str) -> str:
    return short_id("annotator", principle, judge)[:8]


def named(principle: str, judge: str) -> str:
    return f"{principle} ({judge})" if judge else principle


def rule(principle: str, judge: str, rules: Mapping[str, str]) -> str:
    text = rules.get(principle, principle)
    return f"{text} ({judge})" if judge else text


def told(prompt: Conversation) -> str:
    if len(prompt) == 1:
        return prompt[0].content
    return "\n\n".join(f"{message.role.capitalize()}: {message.content}" for message in prompt)
