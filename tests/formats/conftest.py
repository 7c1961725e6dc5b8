"""Exports in every format, and a tokenizer made on the spot, for the packages that read them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "WANDB_MODE": "disabled"}

import pytest

from generator.chat import Message
from solon.tables import write_files
from trainer.formats.choosing import Format, fault_of, files_of, kinds_of
from trainer.formats.examples import sifted
from trainer.pairs.rows import TrainingRow

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM, USER, EARLIER = Message("system", "Be brief."), Message("user", "Hello."), Message("assistant", "Hello!")
PROMPTS = {
    "plain": (Message("user", "Why is the sky blue?"),),
    "system": (SYSTEM, Message("user", "Why does iron rust?")),
    "turns": (SYSTEM, USER, EARLIER, Message("user", "Is 'None' a word? Sag es auf Deutsch: ja 🌧\u2028oder nein.")),
}
TEXTS = ("None", "It scatters.\n\nBlue light, most of all.", 'He said: "{prompt}" & <b>left</b>, 100 %.')


def row(prompt: str, chosen: int, rejected: int, p_chosen: float = 0.75) -> TrainingRow:
    """A pair of two of the prompt's three completions, of which the last is a revision."""
    verdicts = [
        {"principle": "brief", "by": "check", "judge": "", "heard": True, "p_chosen": 1.0, "orders_agree": None},
        {"principle": "plain", "by": "model", "judge": "m", "heard": True, "p_chosen": None, "orders_agree": None},
    ]
    return TrainingRow(
        prompt=PROMPTS[prompt],
        chosen=(Message("assistant", TEXTS[chosen]),),
        rejected=(Message("assistant", TEXTS[rejected]),),
        pair_id=f"{prompt}-{chosen}-{rejected}",
        prompt_id=prompt,
        chosen_id=f"{prompt}-{chosen}",
        rejected_id=f"{prompt}-{rejected}",
        revised=chosen == 2,
        p_chosen=p_chosen,
        margin=2 * p_chosen - 1,
        orders_agree=None,
        label_source="ai",
        decided_by=("brief",),
        verdicts=json.dumps(verdicts),
        epsilon=None,
        ai_p_chosen=p_chosen,
        people=0,
        people_agree=0,
        human_strength=None,
        flags=(),
        same_family=False,
    )


def rows() -> tuple[TrainingRow, ...]:
    """A prompt whose pairs rank its completions, one with a system message, one of several turns."""
    ranked = (row("plain", 2, 1), row("plain", 2, 0, 0.9), row("plain", 1, 0, 0.6))
    return (*ranked, row("system", 2, 0), row("turns", 0, 1))


@pytest.fixture
def pairs() -> tuple[TrainingRow, ...]:
    return rows()


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """Writes ``rows`` in a format, as `solon export` does: all to train on, and the first prompt's to test on too."""

    def write(format: Format) -> Path:
        found = rows()
        sides = [sifted(some, kinds_of(format), "chosen", fault_of(format, None)).side for some in (found, found[:3])]
        folder = tmp_path / format
        folder.mkdir()
        write_files(folder, files_of(format, sides[0], sides[1], "demo", {"brief": "At most 60 words."}))
        return folder

    return write


@pytest.fixture
def tokenizer(byte_tokenizer: Callable[[str], Any], tmp_path: Path) -> Any:
    """Every byte a token, with a chat template; saved in ``name_or_path``."""
    import transformers

    library: Any = transformers
    made = byte_tokenizer(TEMPLATE)
    made.save_pretrained(tmp_path / "tokenizer")
    library.LlamaConfig(vocab_size=len(made)).save_pretrained(tmp_path / "tokenizer")
    return library.AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
