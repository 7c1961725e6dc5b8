"""TRL's own formats: pairs, completions to imitate, completions that are good or bad, and rankings beside pairs.

Source: TRL 1.16, "Dataset formats and types": conversational, with explicit prompts. ``prompt``, ``chosen``,
``rejected`` and ``completion`` are lists of messages, ``label`` is a boolean; ``RewardTrainer`` takes ``margin``
where there is one, and all of them leave the other columns alone.
"""

from trainer.formats.examples import Demonstration, Marked, Ranking, Side, rankings
from trainer.formats.tables import Files, Record, Table, said, table, turns
from trainer.pairs.rows import COLUMNS, TrainingRow, cell

SHOWN = ("prompt", "completion", "prompt_id", "completion_id", "pair_id", "revised")
MARKED = ("prompt", "completion", "label", "prompt_id", "completion_id", "times_chosen", "times_rejected")
RANKED = ("prompt", "completions", "chances", "split", "prompt_id", "completion_ids")


def pairs(train: Side, test: Side) -> Files:
    return {"train.parquet": pair_table(train), "test.parquet": pair_table(test)}


def pair_table(side: Side) -> Table:
    return table(COLUMNS, map(pair_record, side.pairs))


def pair_record(row: TrainingRow) -> Record:
    return {name: cell(getattr(row, name)) for name in COLUMNS}


def sft(train: Side, test: Side) -> Files:
    return {
        "train.parquet": table(SHOWN, map(shown, train.demonstrations)),
        "test.parquet": table(SHOWN, map(shown, test.demonstrations)),
    }


def shown(one: Demonstration) -> Record:
    return {
        "prompt": turns(one.prompt),
        "completion": said(one.completion),
        "prompt_id": one.prompt_id,
        "completion_id": one.completion_id,
        "pair_id": one.pair_id,
        "revised": one.revised,
    }


def kto(train: Side, test: Side) -> Files:
    return {
        "train.parquet": table(MARKED, map(marked, train.marked)),
        "test.parquet": table(MARKED, map(marked, test.marked)),
    }


def marked(one: Marked) -> Record:
    return {
        "prompt": turns(one.prompt),
        "completion": said(one.completion),
        "label": one.label,
        "prompt_id": one.prompt_id,
        "completion_id": one.completion_id,
        "times_chosen": one.chosen,
        "times_rejected": one.rejected,
    }


def reward(train: Side, test: Side) -> Files:
    """The pairs, and the rankings in a file of its own that no loader takes for a half of the pairs."""
    ranked = [ranking(one, split) for split, side in (("train", train), ("test", test)) for one in rankings(side.pairs)]
    return {**pairs(train, test), "rankings.parquet": table(RANKED, ranked)}


def ranking(one: Ranking, split: str) -> Record:
    return {
        "prompt": turns(one.prompt),
        "completions": [said(text) for text in one.completions],
        "chances": list(one.chances),
        "split": split,
        "prompt_id": one.prompt_id,
        "completion_ids": list(one.completion_ids),
    }
