"""The formats by name: what examples each is made of, and what it cannot hold."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from trainer.formats import axolotl, icai, llamafactory, openrlhf, plain, rewardbench
from trainer.formats.examples import Conversation, Fault, Kind, Side
from trainer.formats.tables import Files, alternates

Format = Literal["trl", "kto", "reward", "sft", "openrlhf", "llamafactory", "axolotl", "rewardbench", "icai"]
FORMATS: tuple[Format, ...] = get_args(Format)
ALTERNATING: tuple[Format, ...] = ("llamafactory", "rewardbench")  # a prompt in which the turns do not is no prompt


def kinds_of(format: Format) -> tuple[Kind, ...]:
    """What it is made of, the main thing first."""
    match format:
        case "sft":
            return ("demonstrations",)
        case "kto":
            return ("marked",)
        case "openrlhf" | "axolotl":
            return ("pairs", "demonstrations")
        case "llamafactory":
            return ("pairs", "demonstrations", "marked")
        case _:
            return ("pairs",)


def is_trained_on(format: Format) -> bool:
    """Whether a model reads it by its tokenizer; principles are looked for in texts as they are."""
    return format != "icai"


def fault_of(format: Format, gate: Fault | None) -> Fault:
    """What ``gate`` finds against completions of a prompt, where there is one, after what ``format`` does."""

    def fault(prompt: Conversation, completions: Sequence[str]) -> str:
        if format in ALTERNATING and not alternates(prompt):
            return "turns do not alternate"
        return gate(prompt, completions) if gate else ""

    return fault


def files_of(format: Format, train: Side, test: Side, name: str, rules: Mapping[str, str]) -> Files:
    """Every file that the format may have; ``name`` is the run's, and ``rules`` those of its principles, by id."""
    match format:
        case "trl":
            return plain.pairs(train, test)
        case "kto":
            return plain.kto(train, test)
        case "reward":
            return plain.reward(train, test)
        case "sft":
            return plain.sft(train, test)
        case "openrlhf":
            return openrlhf.files(train, test)
        case "llamafactory":
            return llamafactory.files(train, test)
        case "axolotl":
            return axolotl.files(train, test)
        case "rewardbench":
            return rewardbench.files(train, test)
        case "icai":
            return icai.files(train, test, name, rules)
