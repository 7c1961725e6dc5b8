import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from pathlib import Path
from subprocess import CalledProcessError
from threading import Event
from typing import Any

import pytest

from judge.review.among import Among
from judge.review.records import shown_choice
from solon.cli.actions import run
from solon.review.drawing import DrawAsked
from solon.review.lead.apart import Draw, drawn
from solon.review.lead.desk import side_for
from solon.review.lead.figures import Asked, Measured
from solon.review.records import Said
from solon.review.storage.leasing import LEASE
from solon.web.door.slow import SLOW
from solon.web.lead import routes
from solon.web.lead.measuring import EVERY, FAILED, Measuring, Work, in_a_thread
from solon.web.lead.routes import PAGE_POLICY

pytest.importorskip("scipy", reason="scipy is in an extra")
pytest.importorskip("fastapi", reason="fastapi is in an extra")

LEAD = "/api/runs/demo/lead"
CHANGES = {"pairs": {"policy": "all"}, "candidates": {"completions": 3}}


class Recorder:
    """Makes figures in this process, and counts how often. They are few where a test does not look at them."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.failing = False
        self.whole = False

    def __call__(self, asked: Asked) -> Measured:
        self.asked.append(asked)
        if self.failing:
            raise OSError("no process can be made")
        if self.whole:
            from solon.review.lead.measured import measured

            return measured(asked)
        audit = {"labelled": len(asked.labels)} if asked.labels else None
        nobody = Among(0, 0, None, None, None, None, None, ())
        return Measured(len(asked.labels), (), (), nobody, "", None, (), (), (), audit, "")


class Starter:
    """Does what the service would do in a thread: at once, or when the test says so."""

    def __init__(self) -> None:
        self.at_once = True
        self.waiting: list[Work] = []

    def __call__(self, work: Work) -> None:
        self.waiting.append(work)
        if self.at_once:
            self.carry_on()

    def carry_on(self) -> None:
        while self.waiting:
            self.waiting.pop()()


@dataclass
class Prepared:
    place: Path | None = None  # the run "demo" and all beside it, with twelve items drawn


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared()


@pytest.fixture
def starter() -> Starter:
    return Starter()


@pytest.fixture
def recorder(
    web: Any, write_run: Callable[..., Path], starter: Starter, prepared: Prepared,
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory,
) -> Recorder:  # fmt: skip
    """The run "demo" with twelve items drawn, and its figures made in this process."""
    place = tmp_path / "runs" / "demo"
    if prepared.place is None:
        run(write_run(CHANGES, prompts=6), place, False, False)
        drawn(Draw(place, DrawAsked(n=12, policy="random", overlap=2), web.now))
        prepared.place = tmp_path_factory.mktemp("prepared") / "runs"
        shutil.copytree(tmp_path / "runs", prepared.place)
    else:
        write_run(CHANGES, prompts=6)
        shutil.copytree(prepared.place, tmp_path / "runs")
    recorder = Recorder()
    web.site.measuring = Measuring(recorder, lambda audit: f"<h1>{len(audit)} bytes</h1>", drawn, starter)
    return recorder


def store_of(web: Any) -> Any:
    return web.site.runs()["demo"].store


def label(web: Any, *names: str, count: int = 12) -> None:
    """Each of ``names`` says of every item that the left is better: a dispute wherever their sides differ."""
    store = store_of(web)
    for name in names:
        for n in range(count):
            leased = store.next(name, web.now)
            assert leased
            store.save(name, leased.item, Said("1", 2, "=1+1"), key=f"{name}{n}", now=web.now + 9)
            web.now += 10


def figures(visitor: Any) -> dict[str, Any]:
    found: dict[str, Any] = visitor.get(f"{LEAD}/summary").json()
    return found


def test_the_summary_tells_progress_at_once_and_figures_when_they_are_made(
    web: Any, recorder: Recorder, starter: Starter
) -> None:
    label(web, "ann", "ben")
    lead = web.visitor("adjudicator")
    recorder.whole, starter.at_once = True, False
    first = figures(lead)
    assert (first["progress"]["labels"], first["progress"]["wanted"]) == (24, 24)
    assert (first["figures"]["working"], first["figures"]["measured"]) == (True, None)
    assert lead.get(f"{LEAD}/audit.html").status_code == 202
    assert len(starter.waiting) == 1
    starter.carry_on()
    found = figures(lead)
    assert found["figures"]["current"]
    measured = found["figures"]["measured"]
    assert measured["headline"].startswith("AI labels are right")
    assert {one["annotator"] for one in measured["people"]} == {"ann", "ben"}
    assert measured["label"]["labels"] == 12
    assert "audit" not in measured
    assert lead.get(f"{LEAD}/audit").json()["measured"]["audit"]["labelled"] == 12


def test_figures_are_made_anew_only_for_new_labels_and_after_a_rest(web: Any, recorder: Recorder) -> None:
    label(web, "ann", count=3)
    lead = web.visitor("adjudicator")
    begun = web.now
    assert figures(lead)["figures"]["current"]
    label(web, "ben", count=2)
    web.now = begun + EVERY - 1
    assert not figures(lead)["figures"]["current"]
    assert len(recorder.asked) == 1
    web.now = begun + EVERY
    assert figures(lead)["figures"]["current"]
    web.now += 10 * EVERY
    assert figures(lead)["figures"]["at"] == begun + EVERY
    assert len(recorder.asked) == 2


def test_figures_that_cannot_be_made_are_a_sentence_and_are_tried_again(web: Any, recorder: Recorder) -> None:
    recorder.failing = True
    lead = web.visitor("adjudicator")
    assert figures(lead)["figures"]["fault"] == FAILED
    recorder.failing, recorder.whole = False, True
    web.now += EVERY
    assert figures(lead)["figures"]["fault"] == ""
    assert figures(lead)["figures"]["measured"]["why"] == "Nobody has labelled yet whose labels count."
    assert lead.get(f"{LEAD}/audit.html").status_code == 404


def test_a_run_whose_figures_failed_in_whatever_way_is_not_left_without_any(
    web: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is measured is gathered where figures are made, so a fault of the database is no fault of a request."""
    label(web, "ann", count=1)
    lead = web.visitor("adjudicator")
    with monkeypatch.context() as patched:
        patched.setattr(routes, "labels_csv", lambda _: {}["nothing"])
        seen = figures(lead)["figures"]
    assert (seen["working"], seen["fault"]) == (False, FAILED)
    web.now += EVERY
    assert figures(lead)["figures"]["measured"]["labels"] == 1


def test_a_thread_makes_what_a_request_does_not_wait_for() -> None:
    done = Event()
    in_a_thread(done.set)
    assert done.wait(60)


def test_a_decision_is_taken_as_shown_and_settles_the_dispute(web: Any, recorder: Recorder) -> None:
    label(web, "ann", "ben")
    lead = web.visitor("adjudicator", "ada")
    queue = lead.get(f"{LEAD}/disputes").json()
    assert queue
    assert queue[0]["why"] == ["opposite"]
    item = queue[0]["item"]
    seen = lead.get(f"{LEAD}/items/{item}").json()
    assert {one["choice"] for one in seen["labels"]} == {"1", "2"}
    assert "p_left" not in json.dumps(seen)
    assert lead.get(f"{LEAD}/items/{item}/verdicts").json()["spoken"]
    decided = lead.put(f"{LEAD}/items/{item}/decision", json={"choice": "2", "rationale": "It is shorter."}).json()
    assert (decided["decision"]["choice"], decided["decision"]["by"]) == ("2", "ada")
    (kept,) = store_of(web).decisions()
    assert kept.choice == shown_choice("2", side_for(item, "ada"))
    assert lead.get(f"{LEAD}/disputes").json()[-1]["item"] == item
    summary = figures(lead)
    assert (summary["disputes"], summary["decided"]) == (len(queue) - 1, 1)


def test_the_decision_is_in_the_table_that_audit_and_export_read(web: Any, recorder: Recorder) -> None:
    label(web, "ann", "ben")
    lead = web.visitor("adjudicator", "ada")
    item = lead.get(f"{LEAD}/disputes").json()[0]["item"]
    lead.put(f"{LEAD}/items/{item}/decision", json={"choice": "tie"})
    reply = lead.get(f"{LEAD}/labels.csv")
    assert "attachment" in reply.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [row["choice"] for row in rows if row["item"] == item and row["decided"]] == ["tie"]
    assert {row["rationale"] for row in rows if row["annotator"] == "ann"} == {"'=1+1"}


def test_dropping_somebody_takes_their_labels_out_of_every_figure_and_back(web: Any, recorder: Recorder) -> None:
    label(web, "ann", "ben")
    recorder.whole = True
    admin = web.visitor("admin")
    assert admin.patch(f"{LEAD}/annotators/ben", json={"dropped": True}).status_code == 200
    found = figures(admin)
    assert (found["progress"]["labels"], found["disputes"]) == (12, 0)
    assert found["figures"]["measured"]["among"]["shared"] == 0
    assert "ben" not in admin.get(f"{LEAD}/labels.csv").text
    assert admin.patch(f"{LEAD}/annotators/ben", json={"dropped": False}).json()[1]["dropped"] is False
    assert admin.get(f"{LEAD}/summary").json()["progress"]["labels"] == 24
    assert admin.patch(f"{LEAD}/annotators/nobody", json={"dropped": True}).status_code == 404


def test_guidelines_are_kept_in_versions_with_the_labels_made_under_each(web: Any, recorder: Recorder) -> None:
    admin = web.visitor("admin")
    assert admin.put(f"{LEAD}/guidelines", json={"text": "Be fair."}).json()["version"] == 1
    label(web, "ann", count=2)
    assert admin.put(f"{LEAD}/guidelines", json={"text": "Be fairer."}).json()["by"] == "admin"
    versions = web.visitor("adjudicator").get(f"{LEAD}/guidelines").json()
    assert [(one["guidelines"]["version"], one["labels"]) for one in versions] == [(2, 0), (1, 2)]


def test_an_admin_draws_more_within_bounds(web: Any, recorder: Recorder) -> None:
    admin = web.visitor("admin")
    told = admin.post(f"{LEAD}/draw", json={"n": 5, "policy": "uncertain", "overlap": 3}).json()
    assert (told["round"], sum(told["drawn"].values())) == (2, 5)
    assert len(store_of(web).tasks()) == 17
    for wrong in ({"n": 0}, {"n": 5, "overlap": 0}, {"n": 5, "gold": "/etc/passwd"}, {"n": 5, "policy": "best"}):
        assert admin.post(f"{LEAD}/draw", json=wrong).status_code == 422
    everything = admin.post(f"{LEAD}/draw", json={"n": 1000})
    assert everything.status_code == 200
    again = admin.post(f"{LEAD}/draw", json={"n": 1})
    assert (again.status_code, "drawn already" in again.json()["fact"]) == (400, True)


def test_only_admins_change_what_holds_for_all(web: Any, recorder: Recorder) -> None:
    adjudicator = web.visitor("adjudicator")
    assert adjudicator.put(f"{LEAD}/guidelines", json={"text": "x"}).status_code == 403
    assert adjudicator.patch(f"{LEAD}/annotators/ann", json={"dropped": True}).status_code == 403
    assert adjudicator.post(f"{LEAD}/draw", json={"n": 1}).status_code == 403
    annotator = web.visitor("annotator")
    assert {annotator.get(f"{LEAD}/{name}").status_code for name in ("summary", "disputes", "audit", "labels.csv")} == {
        403
    }


def test_an_item_that_is_not_there_is_not_found_and_odd_decisions_are_refused(web: Any, recorder: Recorder) -> None:
    lead = web.visitor("adjudicator")
    for path in ("items/nothing", "items/nothing/verdicts"):
        assert lead.get(f"{LEAD}/{path}").status_code == 404
    assert lead.put(f"{LEAD}/items/nothing/decision", json={"choice": "1"}).status_code == 404
    item = store_of(web).tasks()[0].item
    for wrong in ({"choice": "3"}, {"choice": "1", "rationale": "x" * 5001}, {"choice": "1", "kind": "gold"}, {}):
        assert lead.put(f"{LEAD}/items/{item}/decision", json=wrong).status_code == 422
    assert lead.put(f"{LEAD}/items/{item}/decision", json={"choice": "1", "rationale": "\0"}).status_code in (400, 422)


def test_the_audits_page_is_under_a_policy_of_its_own(web: Any, recorder: Recorder) -> None:
    label(web, "ann", "ben")
    lead = web.visitor("adjudicator")
    figures(lead)
    reply = lead.get(f"{LEAD}/audit.html")
    assert reply.status_code == 200
    assert reply.headers["content-security-policy"] == PAGE_POLICY
    assert "sandbox" in PAGE_POLICY
    assert reply.text.startswith("<h1>")


def test_while_the_audits_page_is_made_a_page_that_comes_again_is_shown(
    web: Any, recorder: Recorder, starter: Starter
) -> None:
    label(web, "ann")
    lead = web.visitor("adjudicator")
    figures(lead)
    starter.at_once = False
    first = lead.get(f"{LEAD}/audit.html")
    assert (first.status_code, 'http-equiv="refresh"' in first.text) == (202, True)
    assert lead.get(f"{LEAD}/audit.html").status_code == 202
    assert len(starter.waiting) == 1
    starter.carry_on()
    assert lead.get(f"{LEAD}/audit.html").text.startswith("<h1>")


def test_a_page_that_cannot_be_made_is_a_fault_and_is_tried_again(web: Any, recorder: Recorder) -> None:
    label(web, "ann", count=2)
    lead = web.visitor("adjudicator")
    figures(lead)
    made = web.site.measuring.page_of
    web.site.measuring.page_of = failing
    reply = lead.get(f"{LEAD}/audit.html")
    assert (reply.status_code, set(reply.json())) == (409, {"fact", "remedy"})
    web.site.measuring.page_of = made
    assert lead.get(f"{LEAD}/audit.html").status_code == 200


def failing(_: object) -> Any:
    raise CalledProcessError(1, "a child")


def test_a_round_that_cannot_be_drawn_is_a_fault(web: Any, recorder: Recorder) -> None:
    web.site.measuring.draw = failing
    reply = web.visitor("admin").post(f"{LEAD}/draw", json={"n": 5})
    assert (reply.status_code, reply.json()["fact"]) == (409, "the round could not be drawn")


def test_a_draw_takes_no_thread_from_those_who_label(web: Any, recorder: Recorder) -> None:
    assert iscoroutinefunction(routes.draw)
    assert SLOW.total_tokens < 10


def test_an_adjudicator_who_labels_an_item_sees_nothing_of_it_before(web: Any, recorder: Recorder) -> None:
    label(web, "ann")
    lead, store = web.visitor("adjudicator", "ada"), store_of(web)
    first, second = store.tasks()[:2]
    said = {"choice": "1"}
    leased = store.next("ada", web.now)
    assert leased.item == first.item
    told = [
        lead.get(f"{LEAD}/items/{leased.item}"),
        lead.get(f"{LEAD}/items/{leased.item}/verdicts"),
        lead.put(f"{LEAD}/items/{leased.item}/decision", json=said),
    ]
    assert [one.status_code for one in told] == [409, 409, 409]
    assert "p_left" not in "".join(one.text for one in told)
    assert store.decisions() == ()
    assert lead.get(f"{LEAD}/items/{second.item}").status_code == 200
    store.save("ada", leased.item, Said("2" if leased.side == 1 else "1", flag="odd"), key="a", now=web.now)
    assert lead.get(f"{LEAD}/items/{leased.item}").status_code == 200


def test_the_item_in_an_adjudicators_hands_is_not_in_their_queue(web: Any, recorder: Recorder) -> None:
    store = store_of(web)
    leased = store.next("ann", web.now)
    store.save("ann", leased.item, Said("1", flag="odd"), key="a", now=web.now)
    lead = web.visitor("adjudicator", "ada")
    assert [one["item"] for one in lead.get(f"{LEAD}/disputes").json()] == [leased.item]
    assert store.next("ada", web.now).item == leased.item
    assert lead.get(f"{LEAD}/disputes").json() == []
    web.now += LEASE
    assert len(lead.get(f"{LEAD}/disputes").json()) == 1


def test_a_child_process_makes_the_same_figures_and_runs_nothing_that_lies_where_the_service_was_started(
    web: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label(web, "ann", "ben", count=4)
    recorder.whole = True
    lead = web.visitor("adjudicator")
    here = figures(lead)["figures"]["measured"]
    web.site.measuring = Measuring(start=Starter())
    (tmp_path / "scipy.py").write_text("raise SystemExit('this is not scipy')\n")
    monkeypatch.chdir(tmp_path)
    assert figures(lead)["figures"]["measured"] == here


def test_the_service_itself_loads_nothing_that_only_figures_need(cli: Any) -> None:
    script = (
        "import sys, solon.web.lead.routes; print([m for m in ('numpy', 'scipy', 'pyarrow') if m in sys.modules])\n"
    )
    assert cli("--help", script=script).stdout.startswith("[]")
