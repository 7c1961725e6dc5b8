"""The principle editor: what it takes, what it refuses, what it remembers."""

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi")

from constitution.files import parse_constitution
from judge.review.records import Task
from solon.cli import actions
from solon.review.records import NewTask, Round, Said
from solon.web.principles.changes import line_diff

WriteRun = Callable[..., Path]
PATH = "/api/runs/demo/principles"
TEXT = """# Kept by hand.
[constitution]
title = "Test"

[[principle]]
id = "short"
rule = "At most 60 words."   # and not one more
check = { name = "max_words", words = 60 }

[[principle]]
id = "plain"
rule = "It uses everyday words."

[[principle.examples]]
prompt = "p"
better = "b"
worse = "w"
"""


@pytest.fixture
def file(write_run: WriteRun, tmp_path: Path) -> Path:
    write_run()
    path = tmp_path / "principles.toml"
    path.write_text(TEXT)
    return path


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def put(visitor: Any, text: str, based_on: str, note: str = "") -> Any:
    return visitor.put(PATH, json={"text": text, "based_on": digest(based_on), "note": note})


def test_the_file_that_the_config_names_is_shown_with_its_principles(web: Any, file: Path) -> None:
    shown = web.visitor("adjudicator").get(PATH).json()
    assert (shown["text"], shown["sha256"], shown["read_only"]) == (TEXT, digest(TEXT), "")
    listed = [(p["id"], p["line"], p["examples"], p["check"]) for p in shown["checked"]["principles"]]
    assert listed == [("short", 5, 0, "max_words"), ("plain", 10, 1, "")]
    for method, path in (("get", ""), ("get", "/history"), ("get", "/history/1"), ("post", "/check")):
        reply = getattr(web.visitor("annotator"), method)(PATH + path)
        assert reply.status_code == 403
    assert put(web.visitor("adjudicator"), TEXT, TEXT).status_code == 403


FAULTS = [
    ('rule = "It uses', 'ruel = "It uses', 12, "unknown key 'principle.1.ruel'"),
    ('id = "plain"', 'id = "short"', 11, "used twice"),
    ('"It uses everyday words."', '""', 12, "empty rule"),
    ('title = "Test"', "title = Test", 3, "not TOML: invalid value"),
    ('worse = "w"\n', 'worse = "', 17, "not TOML"),
    ("words = 60", "words = 0", 8, "greater than or equal to 1"),
]


def test_a_fault_is_told_with_its_line_and_never_saved(web: Any, file: Path) -> None:
    admin = web.visitor("admin")
    for old, new, line, fact in FAULTS:
        text = TEXT.replace(old, new)
        found = admin.post(f"{PATH}/check", json={"text": text}).json()
        assert (found["ok"], found["fault"]["line"]) == (False, line), fact
        assert fact in found["fault"]["fact"] + found["fault"]["remedy"]
        refused = put(admin, text, TEXT)
        assert (refused.status_code, f"line {line}: " in refused.json()["fact"]) == (400, True), fact
    assert file.read_text() == TEXT


def test_a_save_keeps_comments_rights_and_line_ends_and_says_what_a_run_will_redo(web: Any, file: Path) -> None:
    file.chmod(0o640)
    admin = web.visitor("admin")
    text = TEXT.replace("everyday words", "words that a child knows") + '\n[[principle]]\nid = "new"\nrule = "x"\n'
    saved = put(admin, text, TEXT, "for children")
    assert saved.status_code == 200, saved.text
    assert (file.read_text(), saved.json()["sha256"]) == (text, digest(text))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(p.name for p in file.parent.iterdir() if "principles" in p.name) == [
        "principles.toml", "principles.toml.history"]  # fmt: skip
    windows = TEXT.replace("\n", "\r\n").encode()
    file.write_bytes(windows)
    shown = admin.get(PATH).json()
    assert "\r" not in shown["text"]
    again = shown["text"].replace("60 words.", "50 words.")
    assert put(admin, again, windows.decode()).status_code == 200
    assert file.read_bytes() == windows.replace(b"60 words.", b"50 words.")


def test_what_a_save_changes_is_told_against_the_last_run(web: Any, file: Path, tmp_path: Path) -> None:
    lead = web.visitor("adjudicator")

    def told(text: str) -> Any:
        return lead.post(f"{PATH}/check", json={"text": text}).json()["changes"]

    assert "has not begun" in told(TEXT)["told"]
    actions.run(tmp_path / "run.toml", tmp_path / "runs/demo", accept_changes=False, no_budget=False)
    assert told(TEXT.replace('better = "b"', 'better = "c"'))["told"].startswith("Nothing that reaches a call")
    changed = told(TEXT.replace("60 words", "50 words").replace('id = "plain"', 'id = "easy"'))
    assert (changed["added"], changed["removed"], changed["reworded"]) == (["easy"], ["plain"], ["short"])
    assert changed["told"].startswith("1 principle added, 1 removed, 1 reworded: solon run sends only calls that carry")
    assert changed["told"].endswith("every other reply again.")


def test_who_rewords_a_principle_is_told_that_labels_of_changed_completions_are_put_aside(
    web: Any, file: Path, tmp_path: Path
) -> None:
    actions.run(tmp_path / "run.toml", tmp_path / "runs/demo", accept_changes=False, no_budget=False)
    lead, store = web.visitor("adjudicator"), web.site.runs()["demo"].store
    body = Task("couple", "p", "", (), ("a", "b"), False, ())
    tasks = [NewTask("audit", n / 10, 1, replace(body, item=f"i{n}")) for n in (1, 2)]
    store.add_round(Round(2, "random", 1, 1.0, 1.0, 0.0, 0), [], tasks, 1.0)

    def told(text: str) -> str:
        return str(lead.post(f"{PATH}/check", json={"text": text}).json()["changes"]["told"])

    def label() -> None:
        store.save("ann", store.next("ann", 1.0).item, Said("1"), key=str(store.totals().labels) * 8, now=1.0)

    reworded = TEXT.replace("60 words", "50 words")
    assert "label" not in told(reworded)
    label()
    assert told(reworded).endswith("again. 1 label is there; it is put aside if its couple's completions change.")
    label()
    said = "again. 2 labels are there; those of couples whose completions change are put aside."
    assert told(reworded).endswith(said)
    assert "label" not in told(TEXT)


def test_of_two_editors_the_second_is_told_and_gets_both_texts(web: Any, file: Path) -> None:
    ada, ben = web.visitor("admin", "ada"), web.visitor("admin", "ben")
    first, second = TEXT.replace("60", "50"), TEXT.replace("60", "40")
    assert put(ada, first, TEXT).status_code == 200
    refused = put(ben, second, TEXT)
    assert refused.status_code == 409
    assert refused.json().items() >= {"theirs": first, "yours": second, "sha256": digest(first)}.items()
    assert file.read_text() == first
    diff = ben.post(f"{PATH}/check", json={"text": second, "diff": True}).json()["diff"]
    assert ["".join(part["text"] for part in line["segments"]) for line in diff if line["kind"] == "new"] == [
        'rule = "At most 40 words."   # and not one more',
        'check = { name = "max_words", words = 40 }',
    ]
    file.write_text(TEXT)  # an editor on the disk
    assert put(ben, second, first).status_code == 409
    assert put(ben, second, TEXT).status_code == 200


def test_of_many_who_save_at_once_one_does(web: Any, file: Path) -> None:
    editors = [web.visitor("admin", f"admin-{n}") for n in range(4)]
    texts = [TEXT.replace("60", str(n + 1)) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda n: put(editors[n], texts[n], TEXT).status_code, range(4)))
    assert sorted(codes) == [200, 409, 409, 409]
    assert file.read_text() == texts[codes.index(200)]


def test_every_version_is_kept_those_found_on_the_disk_too_and_any_comes_back(web: Any, file: Path) -> None:
    admin = web.visitor("admin", "ada")
    second, third, broken = TEXT.replace("60", "50"), TEXT.replace("60", "40"), "not sound"
    assert put(admin, second, TEXT, "shorter").status_code == 200
    file.write_text(third)
    listed = admin.get(f"{PATH}/history").json()
    assert [(v["number"], v["by"], v["note"]) for v in listed] == [(3, "", ""), (2, "ada", "shorter"), (1, "", "")]
    assert listed[1]["at"].startswith("2027-01-15T08:00:00")
    assert listed[0]["changes"]["reworded"] == ["short"]
    assert put(admin, third, third).status_code == 200
    assert len(admin.get(f"{PATH}/history").json()) == 3, "nothing was changed, so nothing is a version"
    one = admin.get(f"{PATH}/history/1").json()
    assert one["text"] == TEXT
    for lines, word in ((one["next"], "50"), (one["now"], "40")):
        assert [p["text"] for line in lines for p in line["segments"] if p["own"] and line["kind"] == "new"] == [
            word
        ] * 2
    assert put(admin, one["text"], third, "back to version 1").status_code == 200
    assert file.read_text() == TEXT
    assert [v["by"] for v in admin.get(f"{PATH}/history").json()] == ["ada", "", "ada", ""]
    file.write_text(broken)
    listed = admin.get(f"{PATH}/history").json()
    assert (listed[0]["principles"], listed[0]["changes"]) == (None, None)
    assert admin.get(PATH).json()["checked"]["fault"]["line"] == 1
    for number in (0, 6, -1):
        assert admin.get(f"{PATH}/history/{number}").status_code == 404


def test_a_text_that_is_replaced_is_in_the_history_before_it_is_gone_from_the_disk(
    web: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyError("here")

    with monkeypatch.context() as broken:
        broken.setattr("solon.web.principles.routes.write_bytes", killed)
        assert put(web.visitor("admin"), TEXT.replace("60", "50"), TEXT).status_code == 500
    (kept,) = file.with_name("principles.toml.history").read_text().splitlines()
    assert (json.loads(kept)["text"], json.loads(kept)["by"]) == (TEXT, "")
    assert put(web.visitor("admin"), TEXT.replace("60", "50"), TEXT).status_code == 200
    assert [v["number"] for v in web.visitor("admin").get(f"{PATH}/history").json()] == [2, 1]


def test_a_version_is_read_with_the_one_before_it_and_a_long_history_comes_in_parts(
    web: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, texts = web.visitor("admin"), [TEXT.replace("60", str(n)) for n in range(101, 126)]
    all_of = [*texts, "no TOML of another test", TEXT + "# the newest"]
    kept = [{"at": "", "by": "a", "note": "", "sha256": digest(text), "text": text} for text in all_of]
    file.write_text(all_of[-1])
    file.with_name("principles.toml.history").write_text("".join(json.dumps(one) + "\n" for one in kept))
    parsed: list[str] = []

    def counted(text: str, **kwargs: str) -> Any:
        parsed.append(text)
        return parse_constitution(text, **kwargs)

    monkeypatch.setattr("solon.web.principles.versions.parse_constitution", counted)
    newest = admin.get(f"{PATH}/history/27").json()["version"]
    assert (newest["principles"], newest["changes"]["reworded"]) == (2, ["short"])
    assert parsed == all_of[:-4:-1]
    listed = admin.get(f"{PATH}/history").json()
    assert [v["number"] for v in listed] == list(range(27, 7, -1))
    older = admin.get(f"{PATH}/history", params={"before": 8}).json()
    assert [v["number"] for v in older] == list(range(7, 0, -1))
    assert len(parsed) == 27, "each text once"
    assert [v["changes"] for v in listed + older if v["number"] in (1, 26)] == [None, None]
    assert admin.get(f"{PATH}/history", params={"before": 0}).status_code == 422


def test_half_a_line_in_the_history_costs_that_version_alone(web: Any, file: Path) -> None:
    admin = web.visitor("admin")
    put(admin, TEXT.replace("60", "50"), TEXT)
    history = file.with_name("principles.toml.history")
    history.write_bytes(history.read_bytes()[:-20])
    assert put(admin, TEXT, TEXT.replace("60", "50")).status_code == 200
    assert [v["principles"] for v in admin.get(f"{PATH}/history").json()] == [2, 2, 2]
    assert admin.get(PATH).json()["text"] == TEXT


@pytest.mark.parametrize("constitution", ["plain-speaking", "../outside.toml", "link.toml", "locked.toml", "long.toml"])
def test_what_cannot_be_written_is_read_only_and_says_why(
    web: Any, write_run: WriteRun, tmp_path: Path, constitution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path.parent / "outside.toml"
    outside.write_text(TEXT)
    (tmp_path / "link.toml").symlink_to(outside)
    (tmp_path / "locked.toml").write_text(TEXT)
    (tmp_path / "long.toml").write_text(TEXT + "#" * (1 << 20))
    if constitution == "locked.toml":
        monkeypatch.setattr("solon.web.principles.file.os.access", lambda *_: False)  # root may write everything
    write_run({"constitution": constitution})
    admin = web.visitor("admin")
    shown = admin.get(PATH).json()
    why = {
        "plain-speaking": "shipped with Solon", "../outside.toml": "outside the folder that is served; serve",
        "link.toml": "link that leads out", "locked.toml": "may not write", "long.toml": "longer than 1 MiB",
    }[constitution]  # fmt: skip
    assert why in shown["read_only"]
    refused = admin.put(PATH, json={"text": TEXT, "based_on": shown["sha256"]})
    assert (refused.status_code, why in refused.json()["fact"]) == (403, True)
    assert outside.read_text() == TEXT
    assert not list(tmp_path.glob("*.history"))


def test_neither_a_path_nor_anything_else_comes_from_a_request(web: Any, file: Path) -> None:
    admin = web.visitor("admin")
    for more in ({"path": "/etc/passwd"}, {"name": "x"}):
        body = {"text": TEXT, "based_on": digest(TEXT), **more}
        assert admin.put(PATH, json=body).status_code == 422
    assert admin.put(PATH, json={"text": "x" * (1 << 20) + "x", "based_on": digest(TEXT)}).status_code in (413, 422)
    halves = admin.put(PATH, content=json.dumps({"text": TEXT + "# \ud800", "based_on": digest(TEXT)}).encode())
    assert halves.status_code in (400, 422)
    assert admin.get("/api/runs/other/principles").status_code == 404


def test_a_history_that_is_a_link_is_not_followed(web: Any, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    os.symlink(target, tmp_path / "principles.toml.history")
    assert put(web.visitor("admin"), TEXT.replace("60", "50"), TEXT).status_code == 400
    assert (file.read_text(), target.read_text()) == (TEXT, "")


def test_a_text_that_cannot_be_read_at_all_is_a_fault_like_any_other(web: Any, file: Path) -> None:
    for text in ("a=" + "[" * 100_000, "a=" + "9" * 10_000, ""):
        reply = web.visitor("adjudicator").post(f"{PATH}/check", json={"text": text})
        assert (reply.status_code, reply.json()["fault"]["line"]) == (200, 1)


@given(*[st.lists(st.sampled_from(["", "a b", "a c", "d"]), max_size=12).map("\n".join)] * 2)
def test_a_difference_leads_from_one_text_to_the_other(old: str, new: str) -> None:
    shown = line_diff(old, new)
    if old == new:
        assert shown == ()
        return
    for text, side, mine in ((old, "old", "old"), (new, "new", "new")):
        lines = text.split("\n")
        for line in shown:
            number = line.old if side == "old" else line.new
            if line.kind in ("same", mine):
                assert number is not None
                assert "".join(part.text for part in line.segments) == lines[number - 1]
    kept = {line.old: line.new for line in shown if line.kind == "same"}
    assert list(kept.values()) == sorted(filter(None, kept.values()))
