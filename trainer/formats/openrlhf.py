"""OpenRLHF's datasets, as JSON lines: pairs for its DPO and reward model, completions for SFT, prompts for PPO.

Read with ``--data.apply_chat_template``. Of pairs ``--data.prompt_key prompt`` (chosen and rejected are called so
by default); of completions ``--data.input_key prompt --data.output_key completion``; of prompts
``--data.input_key prompt --data.label_key prompt_id``: the label is sent to ``--reward.remote_url`` beside the text,
so that whoever scores it knows the prompt. A reward model takes ``margin`` under ``--model.margin_loss_enable``.

Source: openrlhf 0.11.2, ``openrlhf/datasets``: messages in lists; a conversation that lies in ``chosen`` alone,
as in earlier versions, needs no ``prompt_key`` and is not written here.
"""

from collections.abc import Iterator

from trainer.formats.examples import Side
from trainer.formats.plain import SHOWN, shown
from trainer.formats.tables import ORIGIN, Files, Record, Table, origin, table, turns
from trainer.pairs.rows import TrainingRow

PAIRS = ("prompt", "chosen", "rejected", *ORIGIN)
PROMPTS = ("prompt", "prompt_id", "datasource")


def files(train: Side, test: Side) -> Files:
    return {
        "pairs-train.jsonl": pair_table(train),
        "pairs-test.jsonl": pair_table(test),
        "sft-train.jsonl": table(SHOWN, map(shown, train.demonstrations)),
        "sft-test.jsonl": table(SHOWN, map(shown, test.demonstrations)),
        "prompts-train.jsonl": table(PROMPTS, prompts(train)),
        "prompts-test.jsonl": table(PROMPTS, prompts(test)),
    }


def pair_table(side: Side) -> Table:
    return table(PAIRS, map(pair, side.pairs))


def pair(row: TrainingRow) -> Record:
    messages = {"prompt": turns(row.prompt), "chosen": turns(row.chosen), "rejected": turns(row.rejected)}
    return {**messages, **origin(row)}


def prompts(side: Side) -> Iterator[Record]:
    """Each prompt once. OpenRLHF tells its figures apart by ``datasource``."""
    seen = set()
    for row in side.pairs:
        if row.prompt_id not in seen:
            seen.add(row.prompt_id)
            yield {"prompt": turns(row.prompt), "prompt_id": row.prompt_id, "datasource": "solon"}
