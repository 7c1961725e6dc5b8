"""A completion that a person rewrote becomes a candidate: judged as any other, alone paid for, and told as such."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from generator.candidates import Candidate
from judge.pairs import couple_id
from judge.review.records import Choice, Side, shown_choice
from solon.cli import actions
from solon.folder import open_folder
from solon.journal import Journal
from solon.pipeline import Row, dump_row, load_row
from solon.records import RecordedCall
from solon.review.drawing import DrawAsked, draw_round
from solon.review.edits import as_candidates, edits_of
from solon.review.opened import open_review
from solon.review.records import Edit, Edited, Said
from solon.review.storage.store import Store
from solon.run import stored_rows

pytest.importorskip("scipy", reason="scipy is in an extra")
parquet = pytest.importorskip("pyarrow.parquet")

WriteRun = Callable[..., Path]
CHANGES = {
    "pairs": {"policy": "all", "min_margin": 0.0}, "export": {"test_share": 0.0}, "judge": {"canaries": 0.5},
}  # fmt: skip
TEXT = "Because it decides how often you must do the work again."


@pytest.fixture
def begun(write_run: WriteRun, tmp_path: Path) -> tuple[Path, Path]:
    """A finished run of six prompts: its run.toml and its folder."""
    config, out = write_run(CHANGES), tmp_path / "run"
    actions.run(config, out, False, False)
    with open_review(open_folder(out)) as store, Journal.open(open_folder(out).journal, read_only=True) as journal:
        draw_round(open_folder(out), journal, store, DrawAsked(100, policy="random"), now=0.0)
    return config, out


@pytest.fixture
def store(begun: tuple[Path, Path]) -> Iterator[Store]:
    with open_review(open_folder(begun[1])) as store:
        yield store


def edit(store: Store, annotator: str = "ann", text: str = TEXT, completion: Side = 1) -> Edit:
    """Rewrites the left or the right completion of the item that this person is given next, and skips it."""
    held = store.next(annotator, 1.0)
    assert held
    store.edit(annotator, held.item, Edited(completion, text), key=f"edit {held.item}", now=2.0)
    store.skip(annotator, held.item, "edited", key=f"skip {held.item}", now=3.0)
    return next(one for one in store.edits() if (one.item, one.annotator) == (held.item, annotator))


def run(config: Path, out: Path) -> Mapping[str, Any]:
    return actions.run(config, out, False, False).data


def rows(out: Path) -> dict[str, Row]:
    with Journal.open(open_folder(out).journal, read_only=True) as journal:
        return {row.made.prompt.id: row for row in stored_rows(journal)}


def calls(out: Path) -> dict[str, RecordedCall]:
    with Journal.open(open_folder(out).journal, read_only=True) as journal:
        return {call.key: call for call in journal.call("", limit=100_000)}


def test_only_the_couples_of_the_edit_are_paid_for_and_only_its_prompt_is_made_again(
    begun: tuple[Path, Path], store: Store
) -> None:
    config, out = begun
    before, paid = rows(out), calls(out)
    edited = edit(store)
    told = run(config, out)
    after = rows(out)
    new = {key: call for key, call in calls(out).items() if key not in paid}
    assert told["calls_sent"] == len(new) > 0
    assert all(TEXT in call.request.decode() for call in new.values())
    assert paid.keys() <= calls(out).keys()
    assert "1 edit by a person is judged now" in told["told"]
    others = {prompt: row for prompt, row in after.items() if prompt != edited.prompt}
    assert others == {prompt: row for prompt, row in before.items() if prompt != edited.prompt}
    was, now = before[edited.prompt], after[edited.prompt]
    assert now.made.candidates[:-1] == was.made.candidates
    assert {label for label in now.labels if edited.id not in (label.a, label.b)} == set(was.labels)
    assert set(was.judgements) <= set(now.judgements)
    against = {one for label in now.labels for one in (label.a, label.b) if edited.id in (label.a, label.b)}
    assert against == {candidate.id for candidate in now.made.candidates}  # each of them differs from it
    assert now.planted == was.planted
    again = run(config, out)
    assert (again["calls_sent"], again["told"]) == (0, ())
    assert rows(out) == after


def test_another_edit_of_the_prompt_asks_nothing_again_of_the_first(begun: tuple[Path, Path], store: Store) -> None:
    config, out = begun
    first = edit(store)
    run(config, out)
    paid, before = calls(out), rows(out)[first.prompt]
    other = Edit("0" * 20, "call", first.prompt, first.revises, "Another text.", first.item, "ben", 9.0)
    mine = as_candidates([*store.edits(), other])
    assert [one.id for one in mine[first.prompt]] == sorted([first.id, other.id])
    (again,) = (one for one in mine[first.prompt] if one.id == first.id)
    assert again == before.made.candidates[-1]
    second = edit(store, text="A second text.")
    run(config, out)
    new = [call for key, call in calls(out).items() if key not in paid]
    assert new
    assert all("A second text." in call.request.decode() for call in new)
    assert second.id in {one.id for one in rows(out)[second.prompt].made.candidates}


def test_an_edit_is_chosen_only_if_preferred_to_what_it_revises(begun: tuple[Path, Path], store: Store) -> None:
    """The judge of these tests prefers the shorter, and so does whoever edits: then a person says otherwise."""
    config, out = begun
    edited = edit(store)
    run(config, out)
    row = rows(out)[edited.prompt]
    (candidate,) = (one for one in row.made.candidates if one.author)
    assert (candidate.id, candidate.text, candidate.revises, candidate.author) == (
        edited.id, TEXT, edited.revises, "ann",
    )  # fmt: skip
    couple = tuple(sorted((edited.id, edited.revises)))
    (label,) = (one for one in row.labels if (one.a, one.b) == couple)
    chosen = [pair for pair in row.pairs if pair.chosen.id == edited.id]
    assert bool(chosen) is (label.preferred == edited.id)
    rambling = edit(store, text=" ".join(["It matters, and it matters, and it goes on mattering."] * 40))
    run(config, out)
    row = rows(out)[rambling.prompt]
    assert rambling.id in {one.id for one in row.made.candidates}
    assert not [pair for pair in row.pairs if pair.chosen.id == rambling.id]


def test_the_editor_prefers_the_edit_in_the_labels_and_in_what_is_exported(
    begun: tuple[Path, Path], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = begun
    long = " ".join(["It matters, and it matters, and it goes on mattering."] * 40)
    edited = edit(store, text=long)
    capsys.readouterr()
    actions.export(out, "trl", None, None)
    assert capsys.readouterr().err == "1 edit by a person waits to be judged: `solon run` does so\n"
    run(config, out)
    capsys.readouterr()
    told = actions.export(out, "trl", None, None)
    assert capsys.readouterr().err == ""
    assert told.data["labels"] == {"from": "review", "couples": 1, "people": 1}
    item = couple_id(edited.id, edited.revises)
    exported = {row["pair_id"]: row for row in parquet.read_table(out / "export" / "train.parquet").to_pylist()}
    assert exported[item]["chosen_id"] == edited.id
    assert (exported[item]["label_source"], exported[item]["ai_p_chosen"] < 0.5) == ("human", True)
    line = next(line for line in (out / "export" / "labels.csv").read_text().splitlines() if line.startswith(item))
    assert line.split(",")[1:8] == ["ann", "1" if edited.id < edited.revises else "2", "1.0",
                                    "1" if edited.id < edited.revises else "2", "", "", "edit"]  # fmt: skip


def test_it_is_told_who_wrote_it(begun: tuple[Path, Path], store: Store) -> None:
    config, out = begun
    edited = edit(store)
    assert "EDIT by a person" not in (out / "report.md").read_text()
    run(config, out)
    shown = actions.show(edited.id, out).text
    assert f"EDIT by a person, {edited.id} of {edited.revises} (by ann, ends by stop)\n{TEXT}" in shown
    assert "| of them: EDIT by a person | 1 |" in (out / "report.md").read_text()


def test_of_a_dropped_person_and_of_an_item_of_another_run_nothing_is_judged(
    begun: tuple[Path, Path], store: Store
) -> None:
    config, out = begun
    before = rows(out)
    edited = edit(store)
    run(config, out)
    store.set_dropped("ann", True, "lead", 9.0)
    assert edits_of(open_folder(out)) == {}
    assert run(config, out)["calls_sent"] == 0
    assert rows(out) == before
    foreign = Edit("ab" * 10, "call", edited.prompt, "", "Gold.", "gold item", "ben", 9.0)
    assert as_candidates([foreign]) == {}


def test_the_same_edit_by_two_people_is_one_candidate_of_the_first_by_name() -> None:
    one = Edit("ab" * 10, "call", "p", "r", "Text.", "i", "zoe", 1.0)
    found = as_candidates([one, Edit("ab" * 10, "call", "p", "r", "Text.", "j", "ann", 2.0)])
    assert [candidate.author for candidate in found["p"]] == ["ann"]


def test_every_edit_has_a_place_of_its_own_which_no_other_edit_moves() -> None:
    """Draws for a couple hang on places: what shared one would share its principle, and be asked anew with it."""
    edits = [Edit(f"{n:02x}" * 10, "call", "p", "r", f"Text {n}.", "i", "ann", 1.0) for n in range(20)]
    alone = [as_candidates([one])["p"][0] for one in edits]
    assert sorted(as_candidates(edits)["p"], key=lambda one: one.id) == sorted(alone, key=lambda one: one.id)
    assert len({(one.sample, one.round) for one in alone}) == 20


def test_rows_written_before_people_could_edit_are_read_as_they_were(begun: tuple[Path, Path]) -> None:
    row = next(iter(rows(begun[1]).values()))
    old = json.loads(dump_row(row))
    for candidate in old["made"]["candidates"]:
        del candidate["author"]
    for pair in old["pairs"]:
        del pair["people_agree"], pair["human_strength"]
        for side in ("chosen", "rejected"):
            del pair[side]["author"]
    assert load_row(json.dumps(old).encode()) == row
    assert Candidate("i", "t", "stop", "c", 0, 0).author == ""


def test_a_run_that_nobody_reviews_gets_no_review(write_run: WriteRun, tmp_path: Path) -> None:
    run(write_run(CHANGES), tmp_path / "run")
    actions.export(tmp_path / "run", "trl", None, None)
    assert not (tmp_path / "run" / "review.db").exists()


def test_what_a_person_says_of_a_judged_edit_later_counts_as_anybodys_word(
    begun: tuple[Path, Path], store: Store
) -> None:
    config, out = begun
    edited = edit(store)
    run(config, out)
    folder = open_folder(out)
    with Journal.open(folder.journal, read_only=True) as journal:
        draw_round(folder, journal, store, DrawAsked(100, policy="random"), now=10.0)
    item = couple_id(edited.id, edited.revises)
    own: Choice = "2" if edited.id < edited.revises else "1"
    while (held := store.next("ben", 20.0)) is not None:
        if held.item == item:
            store.save("ben", item, Said(shown_choice(own, held.side)), key="mine", now=20.0)
        else:
            store.skip("ben", held.item, "later", key=held.item, now=20.0)
    told = actions.export(out, "trl", None, None)
    assert told.data["labels"]["people"] == 2
    exported = {row["pair_id"] for row in parquet.read_table(out / "export" / "train.parquet").to_pylist()}
    assert item not in exported  # the editor against ben: as many say so as otherwise
