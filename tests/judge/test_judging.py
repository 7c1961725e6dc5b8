import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.checks import MaxWords, MinWords
from constitution.principle import Constitution, Principle
from constitution.requests import preference_request
from generator.candidates import Candidate, Candidates
from generator.chat import CallFailure, ChatModel, ChatRequest, Message, Outcome
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import Asking
from judge.judging import Judging, judge_pairs, label_all
from judge.pairs import PairPolicy
from judge.pairwise import Juror
from judge.verdict import Judgement

PROMPT = Prompt("p", (Message("user", "Why?"),), ("science",))
SHORT = Principle("short", "Be short.", check=MaxWords("max_words", 3))
SOLID = Principle("solid", "Say something.", check=MinWords("min_words", 2))
ASKED = tuple(Principle(f"asked-{n}", f"Rule {n}.") for n in range(5))
CONSTITUTION = Constitution("c", "C", "1", "", (SHORT, SOLID, *ASKED))
MADE = Candidates(
    PROMPT,
    (
        Candidate("d0", "draft zero of many words", "stop", "call", 0, 0),
        Candidate("r0", "revised zero", "stop", "call", 0, 1, "d0", "short"),
        Candidate("d1", "one", "stop", "call", 1, 0),
    ),
)


class Late:
    """A ``ChatModel`` that lets the replies of another arrive in a random order."""

    def __init__(self, model: ChatModel, seed: int) -> None:
        self.model = model
        self.random = random.Random(seed)

    async def reply(self, request: ChatRequest) -> Outcome:
        for _ in range(self.random.randrange(20)):
            await asyncio.sleep(0)
        return await self.model.reply(request)


async def judged(
    judge: ChatModel,
    principles: Literal["one", "all"] = "one",
    *,
    constitution: Constitution = CONSTITUTION,
    made: Candidates = MADE,
    policy: PairPolicy = "all",
    seed: int = 0,
) -> tuple[Judgement, ...]:
    judging = Judging((Juror(judge),), principles, policy, Asking(seed))
    return (await judge_pairs(made, constitution, judging)).judgements


def couples(judgements: tuple[Judgement, ...], *principles: str) -> Counter[tuple[str, str]]:
    return Counter((j.a, j.b) for j in judgements if j.principle in principles)


EVERY_COUPLE = {("d0", "d1"): 1, ("d0", "r0"): 1, ("d1", "r0"): 1}
MODEL_IDS = tuple(principle.id for principle in ASKED)


async def test_checks_are_always_heard_and_never_asked_of_a_model() -> None:
    judge = ScriptedModel(lambda request: "1")
    for principles in ("one", "all"):
        judgements = await judged(judge, principles)
        assert couples(judgements, "short") == couples(judgements, "solid") == EVERY_COUPLE
        assert {j.by for j in judgements if j.principle in ("short", "solid")} == {"check"}
    assert not any(SHORT.rule in m.content for call in judge.calls for m in call.messages)


async def test_one_principle_is_drawn_for_each_couple() -> None:
    judge = ScriptedModel(lambda request: "1")
    judgements = await judged(judge)
    assert couples(judgements, *MODEL_IDS) == EVERY_COUPLE
    assert len(judge.calls) == 2 * 3


async def test_couples_and_seeds_draw_their_own_principle() -> None:
    judge = ScriptedModel(lambda request: "1")
    drawn = {j.principle for seed in range(4) for j in await judged(judge, seed=seed) if j.by == "model"}
    assert len(drawn) > 2


async def test_all_principles_judge_each_couple_in_both_orders() -> None:
    judge = ScriptedModel(lambda request: "1")
    judgements = await judged(judge, "all")
    assert couples(judgements, *MODEL_IDS) == dict.fromkeys(EVERY_COUPLE, 5)
    assert len(judge.calls) == len(set(judge.calls)) == 2 * 3 * 5


async def test_a_draw_hangs_on_a_couples_places_and_not_on_its_texts() -> None:
    edited = replace(MADE, candidates=tuple(replace(c, id=f"x{c.id}", text=f"{c.text}!") for c in MADE.candidates))
    before = await judged(ScriptedModel(lambda request: "1"))
    after = await judged(ScriptedModel(lambda request: "1"), made=edited)
    assert [(f"x{j.a}", f"x{j.b}", j.principle) for j in before] == [(j.a, j.b, j.principle) for j in after]


async def test_rewording_one_principle_asks_again_under_that_one_only() -> None:
    before, after = (ScriptedModel(lambda request: "1") for _ in range(2))
    reworded = replace(ASKED[2], rule="Another rule.")
    edited = replace(CONSTITUTION, principles=(SHORT, SOLID, *ASKED[:2], reworded, *ASKED[3:]))
    await judged(before, "all")
    await judged(after, "all", constitution=edited)
    new = [call for call in after.calls if call not in set(before.calls)]
    assert len(new) == 2 * 3
    assert all(preference_request(reworded) in call.messages[0].content for call in new)


async def test_only_principles_that_apply_to_the_prompt_judge() -> None:
    elsewhere = tuple(replace(p, applies_to=("history",)) for p in CONSTITUTION.principles[1:])
    judge = ScriptedModel(lambda request: "1")
    judgements = await judged(judge, "all", constitution=replace(CONSTITUTION, principles=(SHORT, *elsewhere)))
    assert {j.principle for j in judgements} == {"short"}
    assert judge.calls == []


async def test_only_couples_that_the_policy_needs_are_judged() -> None:
    judge = ScriptedModel(lambda request: "1")
    judgements = await judged(judge, policy="revision-vs-draft")
    assert {(j.a, j.b) for j in judgements} == {("d0", "r0")}
    assert len(judge.calls) == 2


async def test_the_first_principle_of_a_couple_is_asked_before_the_others_so_that_its_pair_is_cached() -> None:
    judge = ScriptedModel(lambda request: "1", latency=0.01)
    await judged(judge, "all", policy="revision-vs-draft")
    rules = [next(p.rule for p in ASKED if p.rule in call.messages[0].content) for call in judge.calls]
    assert rules[0] == rules[1]
    assert len(set(rules[:2])) == 1
    assert Counter(rules[2:]) == {p.rule: 2 for p in ASKED if p.rule != rules[0]}


async def test_the_others_do_not_wait_for_each_other() -> None:
    out, most = 0, 0

    class Counting:
        async def reply(self, request: ChatRequest) -> Outcome:
            nonlocal out, most
            out, most = out + 1, max(most, out + 1)
            await asyncio.sleep(0)
            out -= 1
            return await ScriptedModel(lambda request: "1").reply(request)

    await judged(Counting(), "all", policy="revision-vs-draft")
    assert most == 2 * 4


async def test_only_calls_that_others_share_a_pair_with_say_so() -> None:
    for principles in ("one", "all"):
        judge = ScriptedModel(lambda request: "1")
        await judged(judge, principles)
        assert all((call.shared > 0) is (principles == "all") for call in judge.calls)


async def test_a_judge_without_log_probs_has_the_tokens_it_is_given_for_words() -> None:
    def script(request: ChatRequest) -> CallFailure | str:
        return CallFailure("k", "unsupported", "") if request.top_logprobs else "1"

    judge = ScriptedModel(script)
    judging = Judging((Juror(judge),), "one", "all", Asking(0, words=77))
    judgements = (await judge_pairs(MADE, CONSTITUTION, judging)).judgements
    assert Counter(call.max_tokens for call in judge.calls) == {2: 6, 77: 6}
    assert all(j.p_a == 0.5 for j in judgements if j.by == "model")


async def test_a_failed_call_leaves_the_other_judgements_as_they_are() -> None:
    def script(request: ChatRequest) -> CallFailure | str:
        return CallFailure("k", "timeout", "late") if "Rule 3." in request.messages[0].content else "1"

    broken = await judged(ScriptedModel(script), "all")
    whole = await judged(ScriptedModel(lambda request: "1"), "all")
    assert [j for j in broken if j.principle != "asked-3"] == [j for j in whole if j.principle != "asked-3"]
    assert all(j.p_a is None for j in broken if j.principle == "asked-3")


async def test_there_is_one_label_for_each_couple_that_was_judged() -> None:
    judgements = await judged(ScriptedModel(lambda request: "1"))
    labels = label_all(judgements, CONSTITUTION)
    assert [(label.a, label.b) for label in labels] == sorted(EVERY_COUPLE)
    assert label_all(tuple(reversed(judgements)), CONSTITUTION) == labels
    # Of the checks, d0 keeps one and r0 keeps both; the judge, who always says 1, averages out to a tie.
    assert next(label.preferred for label in labels if (label.a, label.b) == ("d0", "r0")) == "r0"


@given(st.integers(), st.permutations(MADE.candidates), st.permutations(CONSTITUTION.principles))
@settings(max_examples=40)
def test_neither_arrival_nor_the_order_of_candidates_and_principles_changes_a_judgement(
    seed, candidates, principles
) -> None:
    def script(request: ChatRequest) -> str:
        return "12?"[len(request.messages[0].content.split(" completion ")[1]) % 3]

    model = ScriptedModel(script)
    at_once = asyncio.run(judged(model, "all"))
    made, constitution = (
        replace(MADE, candidates=tuple(candidates)),
        replace(CONSTITUTION, principles=tuple(principles)),
    )
    assert asyncio.run(judged(Late(model, seed), "all", made=made, constitution=constitution)) == at_once
    assert asyncio.run(judged(Late(model, seed), made=made, constitution=constitution)) == asyncio.run(judged(model))


async def test_a_model_sees_the_share_of_couples_that_it_is_given_and_checks_see_all() -> None:
    prompts = [replace(MADE, prompt=replace(PROMPT, id=f"p{n}")) for n in range(100)]

    async def seen(share: float) -> set[tuple[str, str, str]]:
        judging = Judging((Juror(ScriptedModel(lambda request: "1")),), "one", "all", Asking(0), share=share)
        found: set[tuple[str, str, str]] = set()
        for made in prompts:
            judgements = (await judge_pairs(made, CONSTITUTION, judging)).judgements
            assert sum(j.by == "check" for j in judgements) == 3 * 2
            found |= {(made.prompt.id, j.a, j.b) for j in judgements if j.by == "model"}
        return found

    none, some, all_ = await seen(0.0), await seen(0.3), await seen(1.0)
    assert not none
    assert 60 < len(some) < 120
    assert len(all_) == 300
    assert some < await seen(0.6) < all_
