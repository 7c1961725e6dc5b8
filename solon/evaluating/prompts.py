"""What policies are asked when they are evaluated: held-out prompts, and Solon's own probes."""

from constitution.errors import InputError
from constitution.identity import unit_interval
from generator.prompts import Prompt
from solon.folder import RunFolder
from solon.inputs import read_prompts
from trainer.evaluation.material import Material, probes


def material_of(folder: RunFolder) -> Material:
    """Every held-out prompt, those of them that are sampled several times, and the probes, as [evaluate] says."""
    held_out, settings = held_out_prompts(folder), folder.config.evaluate
    return Material(
        held_out,
        drawn(held_out, settings.sampled, folder.config.seed),
        settings.samples,
        probes() if settings.probes else (),
    )


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


def drawn(prompts: tuple[Prompt, ...], count: int, seed: int) -> tuple[Prompt, ...]:
    """``count`` of the prompts in their order, drawn by their ids: another prompt in the file moves few of them.

    None where it would be one: one prompt gives no interval.
    """
    lowest = sorted(prompts, key=lambda prompt: unit_interval("sampled", seed, prompt.id))[:count]
    chosen = {prompt.id for prompt in lowest}
    return tuple(prompt for prompt in prompts if prompt.id in chosen) if len(chosen) > 1 else ()
