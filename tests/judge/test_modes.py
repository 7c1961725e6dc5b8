"""What must hold in every mode and with every switch: order, arrival and edits."""

import asyncio
import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.checks import MaxWords
from constitution.principle import Constitution, Example, Principle
from generator.candidates import Candidate, Candidates
from generator.chat import CallFailure, ChatModel, ChatReply, ChatRequest, Message, Outcome, TokenLogprob
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import Asking
from judge.judging import Cascade, Judged, Judging
from judge.modes import judge_candidates
from judge.pairs import build_pairs
from judge.pairwise import Juror
from judge.planting import judge_canaries

PROMPT = Prompt("p", (Message("user", "Why?"),))
SHORT = Principle("short", "Be short.", check=MaxWords("max_words", 3))
ASKED = tuple(
    Principle(f"asked-{n}", f"Rule {n}.", weight=1 + n / 3, priority=n % 2,
              examples=(Example(f"Q{n}", f"good {n}", f"bad {n}"), Example(f"R{n}", f"fine {n}", f"poor {n}")))
    for n in range(3)
)  # fmt: skip
CONSTITUTION = Constitution("c", "C", "1", "", (SHORT, *ASKED))


def chain(sample: int, *texts: str) -> list[Candidate]:
    """A draft and its revisions."""
    names = [f"s{sample}r{number}" for number in range(len(texts))]
    return [
        Candidate(names[n], text, "stop", "call", sample, n, names[n - 1] if n else None, "short" if n else None)
        for n, text in enumerate(texts)
    ]


# Two of the texts are the same but for a blank.
CANDIDATES = (
    *chain(0, "draft zero of many words", "revised zero"),
    *chain(1, "one", "one  revised"),
    *chain(2, "one ", "two three four five six"),
)
MADE = Candidates(PROMPT, CANDIDATES)

Build = Callable[[ChatModel], Judging]


def judging(model: ChatModel, *, asking: Asking | None = None, others: int = 0, first: bool = False,
            **changes: Any) -> Judging:  # fmt: skip
    jurors = (Juror(model, "main"), *(Juror(Salted(model, n), f"other-{n}", 1 + n / 7) for n in range(others)))
    cascade = Cascade(Juror(Salted(model, 99), "cheap"), 0.6) if first else None
    return Judging(jurors, changes.pop("principles", "all"), "all", asking or Asking(3), first=cascade, **changes)


SWITCHES: dict[str, dict[str, Any]] = {
    "pairwise": {},
    "pairwise, one principle": {"principles": "one"},
    "ties": {"asking": Asking(3, ties=True)},
    "few-shot": {"asking": Asking(3, few_shot=1)},
    "reasons": {"asking": Asking(3, reasons=50, clamp=0.6)},
    "reasons, ties and few-shot": {"asking": Asking(3, ties=True, reasons=50, clamp=0.7, few_shot=2)},
    "panel": {"others": 2},
    "cascade": {"first": True},
    "cascade, panel and ties": {"first": True, "others": 1, "asking": Asking(3, ties=True)},
    "half of the couples": {"share": 0.5},
    "pointwise": {"mode": "pointwise"},
    "pointwise, 1-10": {"mode": "pointwise", "scale": "1-10", "others": 1},
    "pointwise, one principle": {"mode": "pointwise", "principles": "one"},
    "ranked": {"mode": "ranked"},
    "ranked, one principle, ties": {"mode": "ranked", "principles": "one", "asking": Asking(3, ties=True)},
    "ranked, adaptive": {"mode": "ranked", "tournament": "adaptive", "comparisons": 9},
    "ranked, adaptive, one principle, cascade": {
        "mode": "ranked", "tournament": "adaptive", "comparisons": 8, "principles": "one", "first": True,
    },
}  # fmt: skip
EVERY_SWITCH = pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES.keys())


class Salted:
    """A ``ChatModel`` that asks another, and says so at the head: a second judge with a mind of its own."""

    def __init__(self, model: ChatModel, salt: int) -> None:
        self.model = model
        self.salt = salt

    async def reply(self, request: ChatRequest) -> Outcome:
        told = Message("system", f"judge {self.salt}")
        return await self.model.reply(replace(request, messages=(told, *request.messages)))


class Late:
    """A ``ChatModel`` that lets the replies of another arrive in a random order."""

    def __init__(self, model: ChatModel, seed: int) -> None:
        self.model = model
        self.random = random.Random(seed)

    async def reply(self, request: ChatRequest) -> Outcome:
        for _ in range(self.random.randrange(12)):
            await asyncio.sleep(0)
        return await self.model.reply(request)


def numbers(request: ChatRequest, salt: object) -> list[float]:
    """Numbers in (0, 1) that hang on all that is asked."""
    spelled = "\0".join(f"{m.role}:{m.content}" for m in request.messages) + str(salt)
    return [(byte + 0.5) / 256 for byte in hashlib.sha256(spelled.encode()).digest()]


def fickle(salt: object, faults: bool = True) -> ScriptedModel:
    """A judge of no principles whose replies hang on all that it is asked; some are no verdict at all."""

    def script(request: ChatRequest) -> ChatReply | CallFailure | str:
        chance, luck, *rest = numbers(request, salt)
        if not request.choices:
            return f"It says {chance}." if luck > 0.05 or not faults else CallFailure("k", "timeout", "late")
        if faults and luck < 0.03:
            return CallFailure("k", "server error", "down")
        if faults and luck < 0.06:
            return ChatReply("", "I will not.", "refusal", "m")
        if luck < 0.2:  # sure of it
            return request.choices[int(chance * len(request.choices))]
        whole = math.fsum(rest[: len(request.choices)])
        tokens = tuple(TokenLogprob(c, math.log(r / whole)) for c, r in zip(request.choices, rest, strict=False))
        return ChatReply("", request.choices[0], "stop", "m", first_token=tokens)

    return ScriptedModel(script)


MIRROR = {"1": "2", "2": "1"}


def mirrored(model: ScriptedModel) -> ScriptedModel:
    """A judge that says 2 wherever the other says 1, and the other way round; reasons stay what they are."""

    def script(request: ChatRequest) -> ChatReply | CallFailure | str:
        said = model.said("", request)
        if isinstance(said, str):
            return MIRROR.get(said, said) if request.choices else said
        if isinstance(said, CallFailure):
            return said
        tokens = tuple(TokenLogprob(MIRROR.get(t.token, t.token), t.logprob) for t in said.first_token)
        return replace(said, first_token=tokens, text=MIRROR.get(said.text, said.text))

    return ScriptedModel(script)


def judged(model: ChatModel, switches: dict[str, Any], made: Candidates = MADE,
           constitution: Constitution = CONSTITUTION) -> Judged:  # fmt: skip
    return asyncio.run(judge_candidates(made, constitution, judging(model, **switches)))


def shares(found: Judged, names: dict[str, str] | None = None) -> dict[tuple[str, str], float | None]:
    """For each ordered couple that has a label the chance of its first, under other names if given."""
    known = names or {}
    return {
        (known.get(x, x), known.get(y, y)): label.share(x)
        for label in found.labels
        for x, y in ((label.a, label.b), (label.b, label.a))
    }


@EVERY_SWITCH
@given(st.integers(), st.permutations(CANDIDATES), st.permutations(CONSTITUTION.principles))
@settings(max_examples=3)
def test_neither_arrival_nor_the_order_of_candidates_and_principles_changes_anything(
    switches, salt, candidates, principles
) -> None:
    model = fickle(salt)
    straight = judged(model, switches)
    made, constitution = (
        replace(MADE, candidates=tuple(candidates)),
        replace(CONSTITUTION, principles=tuple(principles)),
    )
    assert judged(Late(model, salt), switches, made, constitution) == straight


@EVERY_SWITCH
@given(st.integers())
@settings(max_examples=3)
def test_exchanging_the_names_of_candidates_exactly_mirrors_their_labels(switches, salt) -> None:
    if switches.get("tournament") == "adaptive":
        switches = {**switches, "comparisons": 99}  # whom it asks about first hangs on names; here it asks about all
    names = {c.id: f"x{9 - c.sample}{9 - c.round}" for c in CANDIDATES}
    renamed = tuple(replace(c, id=names[c.id], revises=c.revises and names[c.revises]) for c in CANDIDATES)
    model = fickle(salt)
    straight, exchanged = judged(model, switches), judged(model, switches, replace(MADE, candidates=renamed))
    assert all(
        sorted((names[label.a], names[label.b])) == [names[label.b], names[label.a]] for label in straight.labels
    )
    assert shares(exchanged) == shares(straight, names)
    assert {(names[mark.candidate], mark.principle, mark.judge) for mark in straight.grades} == {
        (mark.candidate, mark.principle, mark.judge) for mark in exchanged.grades
    }
    strengths = {standing.candidate: standing.strength for standing in exchanged.ranking}
    assert strengths == pytest.approx({names[s.candidate]: s.strength for s in straight.ranking}, abs=1e-9)


@EVERY_SWITCH
@given(st.integers())
@settings(max_examples=3)
def test_a_judge_that_says_the_opposite_leads_to_exactly_the_opposite(switches, salt) -> None:
    if switches.get("mode") == "pointwise":
        return  # a grade has no opposite slot
    model = fickle(salt)
    constitution = replace(CONSTITUTION, principles=ASKED)  # a check says what it says
    straight = judged(model, switches, constitution=constitution)
    opposite = judged(mirrored(model), switches, constitution=constitution)
    assert [(label.a, label.b) for label in straight.labels] == [(label.a, label.b) for label in opposite.labels]
    for one, other in zip(straight.labels, opposite.labels, strict=True):
        assert other.p_a == (None if one.p_a is None else 1 - one.p_a)
        assert (other.margin, other.both_bad, other.orders_agree) == (one.margin, one.both_bad, one.orders_agree)
    strengths = {standing.candidate: -standing.strength for standing in opposite.ranking}
    assert strengths == {standing.candidate: standing.strength for standing in straight.ranking}


def asked_of(switches: dict[str, Any], constitution: Constitution = CONSTITUTION) -> list[ChatRequest]:
    """The calls that a judge gets whose mind no wording changes, its canaries' included."""

    def script(request: ChatRequest) -> str:
        return request.choices[len(request.messages[-1].content.partition("=== ")[2]) % 2] if request.choices else "Hm."

    model = ScriptedModel(script)

    async def ask() -> None:
        whole = judging(model, **switches)
        await judge_candidates(MADE, constitution, whole)
        await judge_canaries(MADE, constitution, whole, 1.0)

    asyncio.run(ask())
    return model.calls


def carries(request: ChatRequest, text: str) -> bool:
    return any(text in message.content for message in request.messages)


@EVERY_SWITCH
def test_rewording_one_principle_redoes_the_calls_that_carry_it_and_no_other(switches: dict[str, Any]) -> None:
    redone = 0
    for number, principle in enumerate(ASKED):
        old, new = principle.rule, f"Mule {number}."  # as long as the old one
        edited = replace(
            CONSTITUTION, principles=tuple(replace(p, rule=new) if p is principle else p for p in (SHORT, *ASKED))
        )
        before, after = asked_of(switches), asked_of(switches, edited)
        gone, come = set(before) - set(after), set(after) - set(before)
        assert gone == {call for call in before if carries(call, old)}
        assert come == {call for call in after if carries(call, new)}
        redone += len(come)
    assert redone >= (1 if switches.get("principles") == "one" else 3)


@pytest.mark.parametrize("mode", ["pairwise", "ranked"])
def test_a_new_example_redoes_its_principles_calls_where_it_is_shown_and_none_where_it_is_not(mode: str) -> None:
    def with_another(place: int) -> Constitution:
        examples = list(ASKED[1].examples)
        examples[place] = replace(examples[place], better="better by far")
        principles = (SHORT, ASKED[0], replace(ASKED[1], examples=tuple(examples)), ASKED[2])
        return replace(CONSTITUTION, principles=principles)

    shown_one = {"mode": mode, "asking": Asking(3, few_shot=1)}
    before = asked_of(shown_one)
    assert asked_of(shown_one, with_another(1)) == before
    assert asked_of({"mode": mode}, with_another(0)) == asked_of({"mode": mode})
    after = asked_of(shown_one, with_another(0))
    new = set(after) - set(before)
    assert new == {call for call in after if carries(call, ASKED[1].rule)} != set()
    assert set(after) - new <= set(before)


@EVERY_SWITCH
def test_nothing_is_asked_twice_but_for_candidates_of_one_text(switches: dict[str, Any]) -> None:
    single = replace(MADE, candidates=CANDIDATES[:4])
    model = fickle("once")
    judged(model, switches, single)
    assert len(model.calls) == len(set(model.calls)) > 0


@pytest.mark.parametrize("others", [1, 3])
@pytest.mark.parametrize("mode", ["pairwise", "pointwise", "ranked"])
@given(st.integers(), st.randoms())
@settings(max_examples=3)
def test_a_panels_judges_may_stand_in_any_order(others, mode, salt, chances) -> None:
    whole = judging(fickle(salt), others=others, mode=mode)
    shuffled = list(whole.jurors)
    chances.shuffle(shuffled)

    def found(jurors: Any) -> Judged:
        return asyncio.run(judge_candidates(MADE, CONSTITUTION, replace(whole, jurors=tuple(jurors))))

    assert found(shuffled) == found(whole.jurors)


@EVERY_SWITCH
@given(st.integers(), st.permutations(CANDIDATES), st.sampled_from(["best-vs-worst", "all", "adjacent"]))
@settings(max_examples=3)
def test_the_pairs_are_the_same_in_any_order_of_candidates(switches, salt, candidates, policy) -> None:
    model = fickle(salt)

    def pairs(made: Candidates) -> tuple[set[Any], set[Any]]:
        found = judged(model, switches, made)
        built = build_pairs(made, found.labels, policy, 0.0, found.ranking)
        return {(p.id, p.chosen.id, p.p_chosen, p.decided_by) for p in built.pairs}, set(built.drops)

    assert pairs(MADE) == pairs(replace(MADE, candidates=tuple(candidates)))


QUOTING = 'The first one ends with "Response A is better" and with:\n> Verdict: 1\nThat means nothing to me.'


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("Response B is a better one.", 2),
        ("Response A is a better one.", 1),
        (f"{QUOTING}\nResponse B is a better one.", 2),
        (f"<think>{QUOTING} 1</think>2", 2),
        (QUOTING, None),
        ('Completion 1 says "2 is better".', None),
    ],
)
@pytest.mark.parametrize("mode", ["pairwise", "ranked"])
def test_only_what_the_judge_itself_says_is_a_verdict(said: str, chosen: int | None, mode: str) -> None:
    """The judge gives no log-probs and always says the same, so both orders disagree, each with a plain verdict."""
    model = ScriptedModel(lambda call: CallFailure("k", "unsupported", "") if call.top_logprobs else said)
    constitution = replace(CONSTITUTION, principles=ASKED[:1])
    found = judged(model, {"mode": mode}, replace(MADE, candidates=CANDIDATES[:2]), constitution)
    slots = {getattr(verdict, "slot", None) for j in found.judgements for verdict in (j.forward, j.backward)}
    assert slots == {chosen}
    assert [label.p_a for label in found.labels] == [None if chosen is None else 0.5]
