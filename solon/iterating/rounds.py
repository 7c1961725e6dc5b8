"""A round: a run of its own under RUN/rounds, whose policy is the one that the round before trained."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

from constitution.errors import InputError
from constitution.identity import unit_interval
from generator.prompts import Prompt
from solon.config import RunConfig
from solon.endpoints import Critic, Model
from solon.folder import RunFolder, make_folder, name_run, open_folder, save_config, write_whole
from solon.inputs import read_prompts
from solon.iterating.spending import budget_left

PROMPTS = "prompts.jsonl"  # of a round's folder: what was drawn for it
PAID = ("journal.db", "review.db")  # of a run: replies that were paid for, and what people said


@dataclass(frozen=True, slots=True)
class Round:
    """``whole`` is the run that all rounds belong to; ``folder`` this round's own."""

    number: int  # from 1
    whole: RunFolder
    folder: RunFolder
    base: Path  # the weights that the first round starts from
    previous: Path | None = None  # the policy that the round before trained

    @property
    def trained(self) -> Path:
        """Where this round's policy goes."""
        return self.folder.model(self.whole.config.iterate.method)


def round_folder(whole: RunFolder, number: int) -> Path:
    return whole.path / "rounds" / str(number)


def begun_rounds(whole: RunFolder) -> list[tuple[int, RunFolder]]:
    """The rounds that are there, by their numbers."""
    numbers = sorted(int(p.name) for p in (whole.path / "rounds").glob("*") if p.name.isdigit())
    there = [(number, round_folder(whole, number)) for number in numbers]
    return [(number, open_folder(path)) for number, path in there if (path / "config.toml").is_file()]


def open_round(whole: RunFolder, number: int, base: Path, previous: Path | None) -> Round:
    """The round's folder with its configuration and prompts; what else is in it stays.

    Raises:
        InputError: no prompt is drawn for it.
        NotFinished: the other rounds left nothing of the budget.
    """
    drawn = drawn_prompts(whole, number)
    path = round_folder(whole, number)
    make_folder(path)
    if number == 1:
        take_over(whole.path, path)
    write_whole(path / PROMPTS, "".join(f"{line_of(prompt)}\n" for prompt in drawn))
    folder = RunFolder(path, round_config(whole, number, previous), whole.beside)
    name_run(folder)
    save_config(folder)
    return Round(number, whole, folder, base, previous)


def round_config(whole: RunFolder, number: int, previous: Path | None) -> RunConfig:
    """The run's configuration for one of its rounds."""
    config = whole.config
    prompts = replace(config.prompts, files=(escape(beside(whole, round_folder(whole, number) / PROMPTS)),))
    budget = budget_left(config.budget, [folder for at, folder in begun_rounds(whole) if at != number])
    config = replace(config, name=f"{config.name}-round-{number}", prompts=prompts, budget=budget)
    if previous is None:
        return config
    weights = beside(whole, previous)
    return replace(
        config,
        policy=sampled_from(config.policy, weights),
        critic=critic_beside(config),
        train=replace(config.train, base=weights, origin=config.train.origin or names_of(config)),
    )


def names_of(config: RunConfig) -> tuple[str, ...]:
    """What tells of the first policy's family: its own name, and that of the weights that are trained."""
    return (config.policy.model, *([config.train.base] if config.train.base else []))


def sampled_from(policy: Model, weights: str) -> Model:
    """The policy with other weights: by vLLM where it was vLLM in this process or started by it, else transformers."""
    if policy.backend == "vllm" and not policy.base_url:
        return replace(policy, model=weights)
    return Model("transformers", weights, temperature=policy.temperature, max_tokens=policy.max_tokens)


def critic_beside(config: RunConfig) -> Critic:
    """A critic of its own stays what it is, spelled out; one that is the policy goes on being it."""
    critic, policy = config.critic_model, config.policy
    if (critic.model, critic.address) == (policy.model, policy.address):
        return Critic(temperature=config.critic.temperature, max_tokens=config.critic.max_tokens)
    return Critic(
        backend=critic.backend, model=critic.model, base_url=critic.base_url, api_key_env=critic.api_key_env,
        latency=critic.latency, batch=critic.batch, serve=critic.serve, extra=critic.extra, settings=critic.settings,
        temperature=critic.temperature, max_tokens=critic.max_tokens,
    )  # fmt: skip


def drawn_prompts(whole: RunFolder, number: int) -> tuple[Prompt, ...]:
    """The round's share of the run's prompts, in their order."""
    config, place = whole.config, f"run {whole.config.name!r}"
    prompts = read_prompts(config.prompts.files, whole.beside, place)
    share = config.iterate.prompts
    drawn = tuple(p for p in prompts if unit_interval("round", config.seed, number, p.id) < share)
    if not drawn:
        fact = f"'iterate.prompts' = {share} draws none of {len(prompts)} prompts for round {number}"
        raise InputError(place, fact, "raise it, or give the run more prompts")
    return drawn


def line_of(prompt: Prompt) -> str:
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    told = {"messages": messages, "id": prompt.id, "tags": list(prompt.tags), "source": prompt.source}
    return json.dumps(told, ensure_ascii=False)


def beside(whole: RunFolder, place: Path) -> str:
    """``place`` as the configuration names it, so that the run and what lies beside it can be moved together."""
    return os.path.relpath(place.resolve(), whole.beside.resolve())


def take_over(run: Path, first: Path) -> None:
    """What the run itself has in files already is the first round's too: nothing is paid for or asked again."""
    for name in PAID:
        if (run / name).is_file() and not (first / name).exists():
            new = first / f"{name}.new"
            new.unlink(missing_ok=True)
            with closing(sqlite3.connect(run / name)) as given, closing(sqlite3.connect(new)) as taken:
                given.backup(taken)
            new.replace(first / name)
