"""`solon show FOLDER`: what a trained model was made of, back to the weights that Solon did not train."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from constitution.errors import InputError
from solon.cli.telling import Told
from solon.training.telling import counted, figures_told
from trainer.ancestry import RECORD, Record, lineage, weights_hash
from trainer.settings import DpoSettings, Fitting, GroupSettings, Method, PpoSettings, RewardSettings, SftSettings

DEFAULTS: Mapping[Method, Fitting] = {
    "sft": SftSettings(),
    "reward": RewardSettings(),
    "dpo": DpoSettings(),
    "ppo": PpoSettings(),
    "grpo": GroupSettings(),
    "rloo": GroupSettings(),
}
SHORT = 12  # hex digits of a hash that are told; --json has all


def show_model(folder: Path) -> Told:
    """The model's training and those of its ancestors, the youngest first; the reward model's among them.

    Raises:
        InputError: the record in ``folder`` cannot be read.
    """
    try:
        records = list(lineage(folder))
        changed = weights_hash(folder) != records[0]["weights_sha256"]
        lines = [str(folder), *(["its weights are not those that this training wrote"] if changed else [])]
        for record in records:
            lines += ["", *told(record)]
        lines += ["", f"{records[-1]['base']}: not trained by Solon, sha256 {records[-1]['base_sha256'][:SHORT]}"]
        told_apart = [{name: value for name, value in record.items() if name != "base_record"} for record in records]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        fact = f"is no record that can be read ({type(error).__name__}: {error})"
        raise InputError(str(folder / RECORD), fact, "train the model again, or remove its folder") from None
    return Told({"model": str(folder), "weights_changed": changed, "ancestry": told_apart}, "\n".join(lines))


def told(record: Record) -> Iterator[str]:
    """One training: a line that says what was done, and below it what it was done with."""
    yield head(record)
    yield from indented(facts(record))
    if made := (record.get("reward") or {}).get("record"):
        yield "  the reward model:"
        yield from indented(told(made), by="    ")
        while made := made["base_record"]:
            yield f"    {head(made)}"


def head(record: Record) -> str:
    return (
        f"{record['method']} from {record['base']}: {counted(record)}, "
        f"{record['tokens']:,} tokens, {record['seconds']:.0f} s"
    )


def facts(record: Record) -> Iterator[str]:
    yield f"settings: {settings_told(record)}; seed {record['seed']}"
    if reward := record.get("reward"):
        judge = f", judge {reward['judge']}" if reward.get("judge") else ""
        yield f"reward: {reward['name']}{judge}, sha256 {reward['sha256'][:SHORT]}"
        if principles := reward.get("principles"):
            yield f"principles that rewarded: {reward['constitution']}: {', '.join(principles)}"
    if lock := record["export_lock"]:
        if not record.get("trained_on_export", True):
            yield "the run's data at that time, on which it was not trained:"
        yield from data_told(lock, record["export_lock_sha256"])
    if record["figures"]:
        yield f"measured: {figures_told(record['figures'])}"
    yield f"weights: sha256 {record['weights_sha256'][:SHORT]}"
    yield f"with: {', '.join(f'{name} {number}' for name, number in record['packages'].items())}"


def settings_told(record: Record) -> str:
    """Those that are not the defaults of now."""
    usual = asdict(DEFAULTS[record["method"]])
    said = [f"{name} {value}" for name, value in record["settings"].items() if usual.get(name) != value]
    return ", ".join(said) or "the defaults"


def data_told(lock: Mapping[str, Any], name: str) -> Iterator[str]:
    """What an export's lock says of the pairs."""
    rows, rounds = lock.get("rows") or {}, lock.get("rounds") or []
    sides = ", ".join(f"{rows[side]} to {side} on" for side in ("train", "test") if side in rows)
    together = f", {len(rounds)} rounds together" if rounds else ""
    yield f"data: run {lock.get('run')}{together}, {sides}; export lock {name[:SHORT]}"
    files = (rounds[-1] if rounds else lock).get("files_sha256") or {}
    principles = files.get("principles.toml")
    yield f"principles: {lock.get('constitution')}{f', sha256 {principles[:SHORT]}' if principles else ''}"
    if models := lock.get("models"):
        yield f"models: {', '.join(f'{role} {model}' for role, model in models.items())}"
    if labels := lock.get("labels_sha256"):
        yield f"people's labels: sha256 {labels[:SHORT]}"


def indented(lines: Iterator[str], by: str = "  ") -> Iterator[str]:
    for line in lines:
        yield by + line
