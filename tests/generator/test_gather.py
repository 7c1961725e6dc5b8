import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.checks import MaxWords
from constitution.draw import draw
from constitution.principle import Constitution, Principle
from generator.candidates import Candidates, candidate_id
from generator.chat import CallFailure, ChatModel, ChatReply, ChatRequest, Message, Outcome, call_key
from generator.gather import Generation, gather_candidates
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from generator.sampling import Sampling

PROMPT = Prompt("p1", (Message("user", "Why?"),), ("science",))
KIND, CLEAR = Principle("kind", "Be kind."), Principle("clear", "Be clear.")
SHORT = Principle("short", "Be short.", check=MaxWords("max_words", 3))


class Late:
    """A ``ChatModel`` that lets the replies of another arrive in a random order."""

    def __init__(self, model: ChatModel, seed: int) -> None:
        self.model = model
        self.random = random.Random(seed)

    async def reply(self, request: ChatRequest) -> Outcome:
        for _ in range(self.random.randrange(30)):
            await asyncio.sleep(0)
        return await self.model.reply(request)


def stage(request: ChatRequest) -> str:
    return {1: "respond", 3: "critique", 5: "revise"}[len(request.messages)]


def fluent(request: ChatRequest) -> str:
    """Always has something to say, and always finds a fault."""
    match stage(request):
        case "respond":
            return f"draft {request.sample} of some words"
        case "critique":
            return f"a fault in: {request.messages[1].content}"
        case _:
            return f"{request.messages[1].content} revised"


async def gather(model: ChatModel, *principles: Principle, completions: int = 2, rounds: int = 1) -> Candidates:
    constitution = Constitution("c", "C", "1", "", principles)
    sampling = Sampling(1.0, 100), Sampling(0.0, 20)
    return await gather_candidates(
        PROMPT, constitution, Generation(model, model, *sampling, completions, rounds, seed=5)
    )


def texts(made: Candidates) -> list[str]:
    return [candidate.text for candidate in made.candidates]


def stages(calls: Sequence[ChatRequest]) -> list[str]:
    return sorted(map(stage, calls))


async def test_every_draft_is_criticised_and_revised() -> None:
    made = await gather(ScriptedModel(fluent), KIND)
    drafts = "draft 0 of some words", "draft 1 of some words"
    assert texts(made) == [drafts[0], f"{drafts[0]} revised", drafts[1], f"{drafts[1]} revised"]
    assert [(c.sample, c.round) for c in made.candidates] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert made.drops == ()


async def test_candidates_know_where_they_come_from() -> None:
    model = ScriptedModel(fluent)
    made = await gather(model, KIND, completions=1)
    draft, revision = made.candidates
    first, second, third = (call_key("scripted", call) for call in model.calls)
    assert (draft.call, draft.revises, draft.principle) == (first, None, None)
    assert (revision.call, revision.revises, revision.principle) == (third, draft.id, "kind")
    assert (draft.is_revision, revision.is_revision) == (False, True)
    (critiqued,) = made.critiques
    assert (critiqued.candidate, critiqued.critique.call, critiqued.critique.principle) == (draft.id, second, "kind")
    assert revision.id == candidate_id(PROMPT, 0, 1, third)


async def test_without_rounds_there_are_only_drafts() -> None:
    model = ScriptedModel(fluent)
    assert len((await gather(model, KIND, completions=3, rounds=0)).candidates) == 3
    assert stages(model.calls) == ["respond"] * 3


async def test_rounds_go_on_to_their_limit_while_something_is_violated() -> None:
    made = await gather(ScriptedModel(fluent), KIND, completions=1, rounds=3)
    assert [candidate.round for candidate in made.candidates] == [0, 1, 2, 3]
    assert [c.revises for c in made.candidates] == [None, *(c.id for c in made.candidates[:3])]


async def test_each_round_draws_its_principle_by_seed_prompt_sample_and_round() -> None:
    principles = [Principle(f"p{n}", f"Rule {n}.") for n in range(20)]
    made = await gather(ScriptedModel(fluent), *principles, completions=3, rounds=3)
    drawn = [c.principle for c in made.candidates if c.is_revision]
    assert drawn == [draw(principles, 5, "p1", sample, number).id for sample in range(3) for number in (1, 2, 3)]
    assert len(set(drawn)) > 3


async def test_a_chain_ends_where_the_checks_are_kept() -> None:
    model = ScriptedModel(lambda request: "two words" if stage(request) == "revise" else fluent(request))
    made = await gather(model, SHORT, completions=1, rounds=3)
    assert texts(made) == ["draft 0 of some words", "two words"]
    assert stages(model.calls) == ["critique", "respond", "revise"]


async def test_a_draft_that_keeps_all_checks_is_not_criticised() -> None:
    model = ScriptedModel(lambda request: "two words")
    assert texts(await gather(model, SHORT, completions=1)) == ["two words"]
    assert stages(model.calls) == ["respond"]


async def test_a_principle_that_the_critic_cleared_is_not_asked_again() -> None:
    model = ScriptedModel(lambda request: "No violation." if stage(request) == "critique" else fluent(request))
    made = await gather(model, KIND, CLEAR, completions=1, rounds=5)
    assert texts(made) == ["draft 0 of some words"]
    assert sorted(c.critique.principle for c in made.critiques) == ["clear", "kind"]
    assert stages(model.calls) == ["critique", "critique", "respond"]


async def test_a_revision_is_held_against_a_principle_that_its_draft_kept() -> None:
    def script(request: ChatRequest) -> str:
        is_draft = request.messages[1:2] and request.messages[1].content == "draft 0 of some words"
        clears = stage(request) == "critique" and is_draft and KIND.rule in request.messages[-1].content
        return "No violation." if clears else fluent(request)

    made = await gather(ScriptedModel(script), KIND, CLEAR, completions=1, rounds=8)
    held = [c.critique.principle for c in made.critiques if c.candidate != made.candidates[0].id]
    assert "kind" in held


async def test_only_principles_that_apply_to_the_prompt_are_drawn() -> None:
    model = ScriptedModel(fluent)
    made = await gather(model, replace(KIND, applies_to=("history",)))
    assert stages(model.calls) == ["respond", "respond"]
    assert all(not candidate.is_revision for candidate in made.candidates)


@pytest.mark.parametrize("failing", ["respond", "critique", "revise"])
async def test_a_call_that_fails_ends_its_chain_only_and_is_told(failing: str) -> None:
    def script(request: ChatRequest) -> CallFailure | str:
        ours = request.sample == 0 and "draft 1" not in "".join(m.content for m in request.messages)
        return CallFailure("k", "timeout", "late") if ours and stage(request) == failing else fluent(request)

    made = await gather(ScriptedModel(script), KIND, rounds=1)
    (drop,) = made.drops
    about = "p1" if failing == "respond" else made.candidates[0].id
    assert (drop.stage, drop.reason, drop.about, drop.detail) == (failing, "timeout", about, "late")
    assert [(c.sample, c.round) for c in made.candidates if c.sample == 1] == [(1, 0), (1, 1)]
    assert [c.round for c in made.candidates if c.sample == 0] == ([] if failing == "respond" else [0])


@pytest.mark.parametrize("empty", ["respond", "revise"])
async def test_an_empty_completion_is_dropped(empty: str) -> None:
    made = await gather(ScriptedModel(lambda request: " \n" if stage(request) == empty else fluent(request)), KIND)
    assert [(drop.stage, drop.reason) for drop in made.drops] == [(empty, "empty completion")] * 2
    assert len(made.candidates) == (0 if empty == "respond" else 2)


async def test_how_a_completion_ended_is_kept() -> None:
    made = await gather(ScriptedModel(lambda request: ChatReply("", "cut", "length", "m")), completions=1)
    assert made.candidates[0].finish == "length"


async def test_candidates_have_ids_of_their_own_even_where_two_drafts_say_the_same() -> None:
    made = await gather(ScriptedModel(lambda request: stage(request)), KIND)
    assert texts(made) == ["respond", "revise", "respond", "revise"]
    assert len({candidate.id for candidate in made.candidates}) == 4


@given(st.integers())
def test_the_order_in_which_replies_arrive_changes_nothing(seed: int) -> None:
    def script(request: ChatRequest) -> CallFailure | str:
        failed = request.sample == 2 or "draft 1 of some words revised" in [m.content for m in request.messages]
        return CallFailure("k", "timeout", "late") if failed else fluent(request)

    model = ScriptedModel(script)
    at_once = asyncio.run(gather(model, KIND, CLEAR, SHORT, completions=4, rounds=2))
    assert asyncio.run(gather(Late(model, seed), KIND, CLEAR, SHORT, completions=4, rounds=2)) == at_once


ONE_RULE = Constitution("c", "C", "1", "", (Principle("kind", "Be kind."),))


@pytest.mark.parametrize(
    ("said", "reason"), [(ChatReply("", "No.", "refusal", "m"), "critic refused"), (" \n", "empty critique")]
)
async def test_a_critic_that_says_nothing_leaves_no_revision(said: ChatReply | str, reason: str) -> None:
    critic = ScriptedModel(lambda request: said)
    policy = ScriptedModel(lambda request: "A draft that goes on and on, far beyond what was asked.")
    sampling = Sampling(1.0, 50)
    generation = Generation(policy, critic, sampling, sampling, completions=1, rounds=2, seed=0)
    made = await gather_candidates(
        PROMPT, Constitution("c", "C", "1", "", (Principle("kind", "Be kind."),)), generation
    )
    assert [drop.reason for drop in made.drops] == [reason]
    assert len(made.candidates) == 1
    assert not made.critiques


async def test_a_revision_that_changes_nothing_is_a_candidate_of_its_own_name() -> None:
    model = ScriptedModel(lambda request: "The same words each time.")
    sampling = Sampling(1.0, 50)
    generation = Generation(model, model, sampling, sampling, completions=1, rounds=3, seed=0)
    made = await gather_candidates(
        PROMPT, Constitution("c", "C", "1", "", (Principle("kind", "Be kind."),)), generation
    )
    assert len({candidate.id for candidate in made.candidates}) == len(made.candidates) == 4
    assert all(candidate.revises != candidate.id for candidate in made.candidates)
