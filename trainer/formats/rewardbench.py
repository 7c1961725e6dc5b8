"""RewardBench's datasets, as JSON lines, to measure a reward model on: ``rewardbench --load_json --dataset FILE``.

``chosen`` and ``rejected`` hold the whole conversation. The package takes a message's role from its place, the
user's first, so a system message stands at the beginning of the user's first one, and pairs of which the turns do
not alternate are dropped, and counted.

Source: rewardbench 0.1.4, ``load_and_process_dataset`` and ``prepare_dialogue_from_tokenizer``. Without a column
``prompt`` it takes one reading, whatever version of ``datasets`` is beside it.
"""

from generator.chat import Message
from trainer.formats.examples import Conversation, Side
from trainer.formats.tables import ORIGIN, Files, Record, Table, origin, table, turns
from trainer.pairs.rows import TrainingRow

PAIRS = ("chosen", "rejected", "id", *ORIGIN)


def files(train: Side, test: Side) -> Files:
    return {"train.jsonl": pair_table(train), "test.jsonl": pair_table(test)}


def pair_table(side: Side) -> Table:
    return table(PAIRS, map(pair, side.pairs))


def pair(row: TrainingRow) -> Record:
    prompt = turns(without_system(row.prompt))
    whole = {"chosen": [*prompt, *turns(row.chosen)], "rejected": [*prompt, *turns(row.rejected)]}
    return {**whole, "id": row.pair_id, **origin(row)}


def without_system(prompt: Conversation) -> Conversation:
    """A first system message put before what the user says first."""
    if prompt[0].role != "system":
        return prompt
    system, first, *others = prompt
    return (Message("user", f"{system.content}\n\n{first.content}"), *others)
