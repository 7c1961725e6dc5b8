"""One row's whole history, as a person reads it."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from constitution.errors import InputError
from constitution.principle import Constitution
from generator.candidates import Candidate
from judge.judging import Mark
from judge.pairs import PreferencePair, couple_id
from judge.planting import Planted
from judge.verdict import Judgement, NoVerdict, OneVerdict, Verdict
from solon.journal import Journal
from solon.pipeline import Row, load_row

SHORTEST_ID = 4
HEX = frozenset("0123456789abcdef")
AT_ONCE = 50  # rows


def rows_named(journal: Journal, name: str, most: int | None = None) -> list[Row]:
    """The rows in which a prompt, candidate, pair or drop has just this id; no more than ``most``, if it is given.

    A prompt's row is found at once, and is then the only one; for any other id, rows are read until there are enough.
    """
    try:
        return [load_row(body) for body in journal.bodies([name])]
    except (KeyError, UnicodeEncodeError):
        found = rows_with(journal, json.dumps(name))  # as a row's JSON spells it
        return list(islice((row for row in found if name in ids_of(row)), most))


def rows_beginning(journal: Journal, name: str, most: int | None = None) -> list[Row]:
    """The rows in which something's id begins with ``name``; no more than ``most``, if it is given.

    Raises:
        InputError: nothing's does, or ``name`` is too short to mean one thing.
    """
    if len(name) < SHORTEST_ID:
        raise InputError(name, "is too short for an id", f"give at least {SHORTEST_ID} characters")
    found = rows_with(journal, json.dumps(name)[:-1])
    rows = list(islice((row for row in found if any(i.startswith(name) for i in ids_of(row))), most))
    rows = rows or list(islice(rows_judging(journal, name), most))
    if not rows:
        raise InputError(name, "is the id of nothing in this run", "take one from the report or the export")
    return rows


def rows_with(journal: Journal, fragment: str) -> Iterator[Row]:
    """The rows whose JSON contains ``fragment``, in the order of their prompts, with few in memory at once."""
    wanted = fragment.encode()
    return (load_row(body) for body in bodies(journal) if wanted in body)


def rows_judging(journal: Journal, name: str) -> Iterator[Row]:
    """The rows with a couple whose id begins with ``name``. Rows hold the candidates of couples, and no ids of them."""
    if set(name) <= HEX:
        for body in bodies(journal):
            labels = json.loads(body)["labels"]
            if any(couple_id(label["a"], label["b"]).startswith(name) for label in labels):
                yield load_row(body)


def bodies(journal: Journal) -> Iterator[bytes]:
    left = iter(sorted(journal.recipes()))
    while some := list(islice(left, AT_ONCE)):
        with suppress(KeyError):  # a session has forgotten these rows meanwhile: it makes them anew
            yield from journal.bodies(some)


def couples_of(rows: Collection[Row]) -> frozenset[str]:
    """The ids of all couples that were judged."""
    return frozenset(couple_id(label.a, label.b) for row in rows for label in row.labels)


def ids_of(row: Row) -> Iterator[str]:
    """What a person may call the row by; calls have their own history."""
    yield row.made.prompt.id
    yield from (candidate.id for candidate in row.made.candidates)
    yield from (pair.id for pair in row.pairs)
    yield from (drop.about for drop in row.drops)


def tell(row: Row, constitution: Constitution, people: Mapping[str, Sequence[str]] | None = None) -> str:
    """The history in the order in which it came about.

    Args:
        people: what they said, in lines, by the couple's id.
    """
    return "\n\n".join(
        [
            f"PROMPT {row.made.prompt.id}\n" + "\n".join(f"{m.role}: {m.content}" for m in row.made.prompt.messages),
            *(tell_candidate(row, candidate, constitution) for candidate in row.made.candidates),
            *(tell_couple(row, label.a, label.b, people or {}) for label in row.labels),
            *([tell_ranking(row)] if row.ranking else []),
            *(tell_planted(planted) for planted in row.planted),
            *(tell_pair(pair) for pair in row.pairs),
            *([tell_drops(row)] if row.drops else []),
        ]
    )


def tell_candidate(row: Row, candidate: Candidate, constitution: Constitution) -> str:
    if candidate.author:
        origin = f"EDIT by a person, {candidate.id} of {candidate.revises} (by {candidate.author}"
    elif candidate.is_revision:
        origin = f"REVISION {candidate.id} of {candidate.revises} under {candidate.principle} (round {candidate.round}"
    else:
        origin = f"DRAFT {candidate.id} (sample {candidate.sample}"
    held = [
        f"{'keeps ' if principle.check.kept(row.made.prompt.text, candidate.text) else 'BREAKS'} {principle.id}"
        for principle in constitution.applying_to(row.made.prompt.tags)
        if principle.check
    ]
    parts = [f"{origin}, ends by {candidate.finish})", candidate.text]
    parts += [f"  FLAGGED: {flagged.flag}" for flagged in row.flags if flagged.candidate == candidate.id]
    parts += [f"  {line}" for line in held]
    parts += [
        f"  CRITIQUE under {c.critique.principle} ({'violated' if c.critique.violated else 'kept'}): {c.critique.text}"
        for c in row.made.critiques
        if c.candidate == candidate.id
    ]
    parts += [tell_mark(mark) for mark in row.grades if mark.candidate == candidate.id]
    return "\n".join(parts)


def tell_couple(row: Row, a: str, b: str, people: Mapping[str, Sequence[str]]) -> str:
    label = next(label for label in row.labels if (label.a, label.b) == (a, b))
    lines = [tell_judgement(judgement) for judgement in row.judgements if (judgement.a, judgement.b) == (a, b)]
    verdict = "no verdict" if label.p_a is None else f"{label.preferred or 'neither'}, margin {label.margin:.3f}"
    decided = f" (decided by {', '.join(label.decided_by)})" if label.decided_by else ""
    heard = [f"  PEOPLE: {line}" for line in people.get(couple_id(a, b), ())]
    return "\n".join([f"JUDGED a = {a}, b = {b}", *lines, f"  LABEL: {verdict}{decided}", *heard])


def tell_judgement(judgement: Judgement) -> str:
    p_a = "none" if judgement.p_a is None else f"{judgement.p_a:.3f}"
    if judgement.by == "check":
        return f"  {judgement.principle}: p(a) = {p_a}, by a check"
    name = judgement.judge or "the judge model"
    if judgement.backward is None:
        return f"  {judgement.principle}: p(a) = {p_a}, by the grades that {name} gave"
    unheard = "" if judgement.heard else "; unsure, so not heard"
    agree = {True: "orders agree", False: "ORDERS DISAGREE", None: "no verdict in one order"}[judgement.orders_agree]
    orders = f"a first: {tell_verdict(judgement.forward)}; b first: {tell_verdict(judgement.backward)}"
    return f"  {judgement.principle}: p(a) = {p_a}, by {name}: {orders}; {agree}{unheard}"


def tell_verdict(verdict: OneVerdict) -> str:
    if isinstance(verdict, Verdict):
        mass = "" if verdict.label_mass is None else f", label mass {verdict.label_mass:.2f}"
        reasons = f", after reasoning in {verdict.rationale[:12]}" if verdict.rationale else ""
        said = f"slot {verdict.slot}" if verdict.preference in ("first", "second") else verdict.preference
        return f"{said} (p(1) = {verdict.p_first:.3f}{mass}{reasons})"
    return f"NO VERDICT: {verdict.reason} ({verdict.detail})"


def tell_mark(mark: Mark) -> str:
    if isinstance(mark.said, NoVerdict):
        return f"  NO GRADE by {mark.judge} under {mark.principle}: {mark.said.reason} ({mark.said.detail})"
    return f"  GRADE by {mark.judge} under {mark.principle}: {mark.said.value:.3f} ({mark.said.scale})"


def tell_ranking(row: Row) -> str:
    lines = [f"  {s.candidate}: strength {s.strength:+.3f} ± {s.error:.3f}" for s in row.ranking]
    return "\n".join(["RANKED, the strongest first", *lines])


def tell_planted(planted: Planted) -> str:
    canary = planted.canary
    lines = (f"PLANTED ({canary.kind}) {canary.planted.id} beside {canary.real.id}", tell_judgement(planted.judgement))
    return "\n".join([lines[0], canary.planted.text, lines[1]])


def tell_pair(pair: PreferencePair) -> str:
    return (
        f"PAIR {pair.id}: chosen {pair.chosen.id}, rejected {pair.rejected.id}; "
        f"p_chosen {pair.p_chosen:.3f}, margin {pair.margin:.3f}, label by {pair.label_source}"
    )


def tell_drops(row: Row) -> str:
    return "\n".join(f"DROPPED at {d.stage}: {d.reason}: {d.about} {d.detail}".rstrip() for d in row.drops)


def tell_call(journal: Journal, name: str) -> str | None:
    """The recorded call of that key, if ``name`` is the beginning of exactly one."""
    found = journal.call(name) if len(name) >= SHORTEST_ID and set(name) <= set("0123456789abcdef") else ()
    if len(found) != 1:
        return None
    call = found[0]
    asked = json.dumps(json.loads(call.request), indent=2, ensure_ascii=True)
    return f"CALL {call.key}\nmodel: {call.model}\nsent: {asked}\nreceived: {call.reply.decode(errors='replace')}"
