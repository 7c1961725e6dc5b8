"""A run of nothing but hostile texts.

They come in by the ways that texts come in by: prompts and principles from files, completions and verdicts from an
endpoint, labels from the review and from another tool, faults and warnings from what a run leaves in its folder.
`conftest.py` runs this file: test files import nothing from one another.
"""

import json
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import tomlkit

import solon
from judge.review.records import CHOICES, HumanLabel
from solon.database import Database
from solon.review.records import Decision, Edited
from solon.review.storage.store import Store
from solon.text import printable

MADE = runpy.run_path(str(Path(solon.__file__).parents[1] / "benchmarks" / "review" / "payloads.py"))
PAYLOADS: tuple[str, ...] = MADE["payloads"]()
grouped: Callable[[tuple[str, ...], int], tuple[str, ...]] = MADE["grouped"]
EVERY = "\n".join(PAYLOADS)
GROUPS = grouped(PAYLOADS, 500)  # one for each prompt: 500 characters is the shortest field that takes free text
NAMES = grouped(PAYLOADS, 2500)
FAULTS = grouped(PAYLOADS, 1900)  # of a line of a log 2,000 characters are shown
LONG = f"<svg/onload=ran(1)//{50_000 * 'x'}>"


@dataclass(frozen=True)
class Texts:
    """The hostile texts, each in each of these: one by one, all in one, and joined to as much as some field takes."""

    payloads: tuple[str, ...] = PAYLOADS
    every: str = EVERY
    groups: tuple[str, ...] = GROUPS
    names: tuple[str, ...] = NAMES
    faults: tuple[str, ...] = FAULTS
    notes: tuple[str, ...] = grouped(PAYLOADS, 900)
    addresses: tuple[str, ...] = grouped(PAYLOADS, 5000)  # four in one address stay below the 64 KiB of a request
    elsewhere: tuple[str, ...] = tuple(text.replace("{n}", "1") for text in MADE["ADDRESSES"])


class Model(BaseHTTPRequestHandler):
    """A policy that completes with the group of its prompt, and a judge whose every other verdict is hostile."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = "\n".join(message["content"] for message in asked["messages"])
        number = int(said.partition("group ")[2][:2])
        if asked["model"] == "hostile-policy":
            revises = len(asked["messages"]) > 4
            begins = "A revision" if revises else "A draft" + " word" * 300
            text = f"{begins}\n{GROUPS[number]}\n{'' if number else LONG}"
        else:
            text = "1" if number % 2 else GROUPS[number][:190]
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [choice],
            "usage": usage,
        }
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


def prompt(number: int, text: str) -> dict[str, Any]:
    turns = [
        ("system", f"group {number:02d}\nS {text}"),
        ("user", f"U {text}"),
        ("assistant", f"A {text}"),
        ("user", f"L {text}"),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"id": f"{number:02d} {text}", "messages": messages, "source": text, "tags": ["all", text]}


def principles() -> list[dict[str, Any]]:
    """Six that code decides, so that every pair is decided by hostile names, and one for the judge."""
    check = {"name": "max_words", "words": 250}
    made: list[dict[str, Any]] = [
        {
            "id": text, "rule": f"R {text}", "rationale": f"W {text}", "check": check, "applies_to": ["all", text],
            "examples": [{"prompt": f"P {text}", "better": f"B {text}", "worse": f"N {text}"}],
        }
        for text in NAMES
    ]  # fmt: skip
    return [*made, {"id": "judged", "rule": "It answers."}]


def write(service: Any, url: str) -> None:
    endpoint = {"backend": "openai", "base_url": url, "max_tokens": 2000}
    config = {
        "policy": {**endpoint, "model": "hostile-policy"},
        "judge": {"backend": "openai", "base_url": url, "model": EVERY, "allow_same_family": True, "canaries": 0.0},
        "candidates": {"completions": 1, "rounds": 1},
    }
    service.write([prompt(number, text) for number, text in enumerate(GROUPS)], **config)
    table = {"constitution": {"title": EVERY, "description": EVERY}, "principle": principles()}
    (service.root / "principles.toml").write_text(tomlkit.dumps(table))


def label(service: Any) -> None:
    """What people say, some of them in another tool, which has names of its own; and what was decided."""
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        store.set_guidelines(f"1 {EVERY}", EVERY, 1.0)
        store.set_guidelines(f"2 {EVERY}", EVERY, 2.0)
        tasks = {task.task.body.prompt_id: task for task in store.tasks()}
        labels = []
        for number, text in enumerate(GROUPS):
            item = tasks[prompt(number, text)["id"]].item
            for place, name in enumerate(NAMES):
                side: Any = 1 + (number + place) % 2
                said = HumanLabel(
                    item, name, CHOICES[side - 1], 4, f"W {text}", side, 0.5, 3.0 + number, 1, "audit", f"F {text}"
                )
                labels.append(said)
            store.decide(Decision(item, "tie", text, f"D {text}", 9.0))
        store.take_in(labels, EVERY)
        for name in ("bo", "cy"):
            while leased := store.next(name, 10.0):
                text = GROUPS[int(leased.body.prompt_id[:2])]
                store.edit(name, leased.item, Edited(1, f"E {text}"), key=f"edit-{leased.item}", now=10.5)
                store.edit(name, leased.item, Edited(2, f"E {text}"), key=f"more-{leased.item}", now=10.5)
                store.skip(name, leased.item, text, key=f"skip-{leased.item}", now=11.0)


def spoil(service: Any) -> None:
    """What the last session said of itself, and further runs, each with a hostile fault and path to its principles."""
    summary = json.loads((service.run / "summary.json").read_text())
    counts = dict.fromkeys(PAYLOADS, 1)
    summary |= {"warnings": list(PAYLOADS), "told": list(PAYLOADS), "limit": EVERY}
    (service.run / "summary.json").write_text(
        json.dumps(summary | {"drops": counts, "no_verdicts": counts, "flags": counts})
    )
    (service.run / "web-run.log").write_text("\n".join(grouped(PAYLOADS, 2000)).replace("\n", " ")[:1500])
    for number, text in enumerate(FAULTS):
        beside, folder = service.root / f"bad-{number}", service.root / "runs" / f"bad-{number}"
        beside.mkdir()
        folder.mkdir()
        path = "x/" + text.replace("\n", "/")
        table = {"constitution": {"title": "T"}, "principle": [{"id": "a", "rule": "b"}]}
        (beside / path).parent.mkdir(parents=True)
        (beside / path).write_text(tomlkit.dumps(table))
        config = tomlkit.parse((service.root / "run.toml").read_text())
        (beside / "run.toml").write_text(tomlkit.dumps({**config, "name": f"bad-{number}", "constitution": path}))
        lines = [printable(one.replace("\n", " ")) for one in FAULTS]  # as every line is that a run writes
        (folder / "web-run.log").write_text("\n".join([*lines, "error: " + lines[number]]))


@contextmanager
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def prepare(service: Any) -> None:
    """Runs, draws and labels; the service is not started yet."""
    with endpoint() as url:
        write(service, url)
        service.solon("run", "run.toml")
    service.solon("review", "draw", service.run, "--n", len(GROUPS), "--overlap", 20)
    label(service)
    spoil(service)
    for name, role in (("root", "admin"), ("ann", "annotator"), ("lea", "adjudicator")):
        service.add(name, role)
