"""Axolotl's datasets, as JSON lines, and what a configuration must say of them, for its DPO and for SFT.

Paths in the configurations are relative to the folder: start ``axolotl`` there, or make them whole.

Source: axolotl 0.19.0, ``prompt_strategies/dpo/chat_template.py`` and ``prompt_strategies/chat_template.py``. Its
KTO strategies spell out a chat template of their own each, so none is written for it.
"""

from trainer.formats.examples import Demonstration, Side
from trainer.formats.tables import ORIGIN, Files, Record, Table, origin, said, table, turns
from trainer.pairs.rows import TrainingRow

PAIRS = ("messages", "chosen", "rejected", *ORIGIN)
SHOWN = ("messages", "prompt_id", "completion_id")
DPO = """\
rl: dpo
chat_template: tokenizer_default
datasets:
  - path: pairs-train.jsonl
{how}"""
SFT = """\
chat_template: tokenizer_default
datasets:
  - path: sft-train.jsonl
{how}"""
TESTED = """\
test_datasets:
  - path: {path}
    split: train
{how}"""
OF_PAIRS = """\
    ds_type: json
    type: chat_template.default
    field_messages: messages
    field_chosen: chosen
    field_rejected: rejected
"""
OF_SHOWN = """\
    ds_type: json
    type: chat_template
    field_messages: messages
    message_field_training: training
"""


def files(train: Side, test: Side) -> Files:
    dpo = DPO.format(how=OF_PAIRS)
    if test.pairs:
        dpo += TESTED.format(path="pairs-test.jsonl", how=OF_PAIRS)
    sft = SFT.format(how=OF_SHOWN)
    if test.demonstrations:
        sft += TESTED.format(path="sft-test.jsonl", how=OF_SHOWN)
    return {
        "pairs-train.jsonl": pair_table(train),
        "pairs-test.jsonl": pair_table(test),
        "sft-train.jsonl": table(SHOWN, map(shown, train.demonstrations)),
        "sft-test.jsonl": table(SHOWN, map(shown, test.demonstrations)),
        "dpo.yaml": dpo if train.pairs else "",
        "sft.yaml": sft if train.demonstrations else "",
    }


def pair_table(side: Side) -> Table:
    return table(PAIRS, map(pair, side.pairs))


def pair(row: TrainingRow) -> Record:
    completions = {"chosen": turns(row.chosen)[0], "rejected": turns(row.rejected)[0]}
    return {"messages": turns(row.prompt), **completions, **origin(row)}


def shown(one: Demonstration) -> Record:
    """Each message says whether it is trained on: an earlier completion in a prompt is not."""
    prompt = [{**turn, "training": False} for turn in turns(one.prompt)]
    completion = [{**turn, "training": True} for turn in said(one.completion)]
    return {"messages": [*prompt, *completion], "prompt_id": one.prompt_id, "completion_id": one.completion_id}
