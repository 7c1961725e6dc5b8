"""The verbs that train and evaluate."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from constitution.errors import InputError
from constitution.identity import file_hash, full_hash
from generator.prompts import Prompt
from solon.cli.telling import Told
from solon.export import LOCK, TABLES
from solon.folder import RunFolder, open_folder, write_whole
from solon.inputs import read_prompts
from solon.progress import showing
from solon.report.render import EVALUATION_HEAD, measure_row
from solon.report.write import read_json, write_report
from solon.run_lock import hold
from trainer.dpo import RECORD, DpoSettings, DpoStep, train_dpo
from trainer.evaluate import Evaluation, collapse_warnings, compare
from trainer.exports import require_rows
from trainer.memory import keep_freed_memory
from trainer.policies import load_policy, require_empty
from trainer.sampling import sample

BATCH = 64  # held-out prompts sampled at once


def prepare_trainer() -> None:
    """Refuses where training is not installed; else gets the process ready for it."""
    try:
        import torch  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise InputError("train", f"{error.name} is not installed", "pip install 'solon[train]'") from None
    keep_freed_memory()


def base_weights(folder: RunFolder) -> Path:
    """The weights that training starts from: those named under [dpo], else the embedded policy's own."""
    from generator.models.llamacpp import find_weights

    config = folder.config
    if config.dpo.base is None and config.policy.backend not in ("llamacpp", "transformers", "vllm"):
        raise InputError(
            f"run {config.name!r}", "the policy's weights are not here", "name a model folder as base under [dpo]"
        )
    named = config.dpo.base or config.policy.model
    place = folder.beside / Path(named).expanduser()
    return place if place.is_dir() else find_weights(named, folder.beside).path


def dpo(run: Path, out: Path | None) -> Told:
    """Trains on the export, unless the policy in ``out`` was trained on just that, from this base, as set now."""
    folder = open_folder(run)
    output = out or folder.policy
    if not (folder.export / LOCK).is_file():
        raise InputError(str(folder.export), "is not there", f"write it with `solon export {run}`")
    wanted = {
        "base": base_weights(folder).name,
        "settings": asdict(settings_of(folder)),
        "export_lock_sha256": file_hash(folder.export / LOCK),
    }
    record = read_json(output / RECORD)
    known = record is not None and all(record[name] == value for name, value in wanted.items())
    with hold(folder.path):
        if not known:
            train(folder, output)
            record = read_json(output / RECORD)
        write_report(folder)
    first, last = record["steps"][0], record["steps"][-1]
    left_out = f" ({record['rows_too_long']} too long)" if record["rows_too_long"] else ""
    text = (
        f"{'already trained on this export' if known else 'trained'}: {record['rows']} pairs{left_out}, "
        f"{len(record['steps'])} steps, {record['seconds']:.0f} s, "
        f"loss {first['loss']:.3f} to {last['loss']:.3f}; the policy is in {output}"
    )
    return Told({**record, "policy": str(output)}, text)


def settings_of(folder: RunFolder) -> DpoSettings:
    wanted = {name: value for name, value in asdict(folder.config.dpo).items() if name != "base"}
    return DpoSettings(**wanted, seed=folder.config.seed)


def train(folder: RunFolder, output: Path) -> None:
    """Trains beside ``output`` and puts the new policy in its place when it is whole.

    Raises:
        InputError: what is there now is no policy that Solon trained, so it is not replaced.
    """
    if output.exists() and not (output / RECORD).is_file():
        require_empty(output)
    require_rows(folder.export / TABLES[0])
    prepare_trainer()
    from pyarrow import parquet

    settings = settings_of(folder)
    rows = parquet.read_metadata(folder.export / TABLES[0]).num_rows
    new = output.with_name(f"{output.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of a training that was killed
    policy = load_policy(base_weights(folder))
    with showing("dpo", settings.steps(rows)) as reporter:

        def on_step(step: DpoStep) -> None:
            reporter.expect(step.steps)
            reporter.at(step.step, f"loss {step.loss:.3f}, reward accuracy {step.accuracy:.0%}")

        train_dpo(policy, folder.export, settings, new, on_step)
    shutil.rmtree(output, ignore_errors=True)
    new.replace(output)


def evaluate(run: Path, policy: Path | None) -> Told:
    """Compares base and trained on the held-out prompts; completions that are there are not sampled again."""
    folder = open_folder(run)
    trained = policy or folder.policy
    if not (trained / RECORD).is_file():
        raise InputError(str(trained), "holds no trained policy", f"train one with `solon train dpo {run}`")
    prompts = held_out_prompts(folder)
    subject = full_hash(
        [
            base_weights(folder).name,
            file_hash(trained / RECORD),
            [asdict(prompt) for prompt in prompts],
            folder.config.evaluate.max_tokens,
        ]
    )
    with hold(folder.path):
        data = read_json(folder.evaluation)
        known = data is not None and data["subject"] == subject
        texts = data["completions"] if known else sampled(folder, trained, prompts)
        evaluation = compare(prompts, texts["base"], texts["trained"], folder.principles(), seed=folder.config.seed)
        data = {"subject": subject, "completions": texts, "evaluation": asdict(evaluation)}
        write_whole(folder.evaluation, json.dumps(data, indent=1) + "\n")
        report = write_report(folder)
    return Told({**data["evaluation"], "report": str(report)}, told(evaluation, folder, report))


def held_out_prompts(folder: RunFolder) -> tuple[Prompt, ...]:
    """The prompts under [evaluate], none of which the run has seen."""
    place = f"run {folder.config.name!r}, [evaluate]"
    prompts = read_prompts(folder.config.evaluate.files, folder.beside, place)
    if len(prompts) < 2:
        raise InputError(place, "names one prompt, which gives no interval", "hold out more prompts")
    refuse_trained_on(folder, prompts, place)
    return prompts


def refuse_trained_on(folder: RunFolder, prompts: tuple[Prompt, ...], place: str) -> None:
    """Held-out means that no prompt's text was in the run."""
    used = {p.messages for p in read_prompts(folder.config.prompts.files, folder.beside, place)}
    for prompt in prompts:
        if prompt.messages in used:
            raise InputError(place, f"prompt {prompt.id!r} is also one of the run's", "hold out other prompts")


def sampled(folder: RunFolder, trained: Path, prompts: tuple[Prompt, ...]) -> dict[str, list[str]]:
    """Greedy completions of both policies, in the order of ``prompts``."""
    prepare_trainer()
    texts: dict[str, list[str]] = {}
    messages = [prompt.messages for prompt in prompts]
    for name, source in (("base", base_weights(folder)), ("trained", trained)):
        with showing(f"sampling {name}", len(prompts)) as reporter:

            def on_batch(done: int, total: int) -> None:
                reporter.at(done, "")

            completions = sample(
                load_policy(source), messages, max_tokens=folder.config.evaluate.max_tokens, batch_size=BATCH,
                on_batch=on_batch,
            )  # fmt: skip
        texts[name] = [completion.text for completion in completions]
    return texts


def told(evaluation: Evaluation, folder: RunFolder, report: Path) -> str:
    """The comparison as a table, then what to worry about, then where everything is."""
    table = Table(*EVALUATION_HEAD, title=f"{folder.config.name}: {evaluation.prompts} held-out prompts")
    for measure in evaluation.measures:
        table.add_row(*measure_row(measure))
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = [captured.get().rstrip(), *collapse_warnings(evaluation), f"report: {report}"]
    lines += [f"policy: {folder.policy}", f"dataset: {folder.export}"]
    return "\n".join(lines)
