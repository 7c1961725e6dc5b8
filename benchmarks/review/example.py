"""A run with hand-written completions, the people who reviewed a part of it, and a second run: what the pictures show.

The completions are in example.toml. Judges and people are simulated: they go by the numbers beside the texts there.
"""

import json
import math
import random
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from serving import ROOT, environment

from constitution.identity import unit_interval
from generator.chat import ChatReply, ChatRequest, TokenLogprob, Usage
from generator.models.rambler import CANDIDATE, SCRIPTS
from judge.pairs import couple_id
from judge.review.records import Choice, Side, shown_choice
from solon.database import Database
from solon.folder import open_folder
from solon.journal import Journal
from solon.review.opened import open_review
from solon.review.records import Decision, Edited, Said, StoredTask
from solon.review.storage.store import Store
from solon.run import stored_rows
from solon.web.accounts.passwords import hash_of
from solon.web.accounts.store import Accounts
from solon.web.accounts.user import Role

HERE = Path(__file__).parent
RUN, SECOND = "everyday", "second-batch"
PASSWORD = "only for these pictures"
ANNOTATORS = ("maya", "jonas", "priya", "felix", "ana")
PEOPLE: dict[str, Role] = {"root": "admin", "lea": "adjudicator", **dict.fromkeys(ANNOTATORS, "annotator")}
DAY = 86_400.0
GUIDELINES = (
    "Read the prompt first, then both completions to their end.\n\nChoose the one that you would rather have received.",
    "Read the prompt first, then both completions to their end.\n\n"
    "Choose the one that you would rather have received if you had asked. "
    "A longer one is not better for being longer.\n\n"
    "“Tie” means that it does not matter which one is kept. Use “both bad” where you would send neither.\n\n"
    "A completion that claims to have seen, tried or done something is wrong about itself: "
    "that counts for more than style.",
)
SHORTER = ("Comes to the point in its first sentence.", "Shorter, and nothing is missing.", "", "")
LONGER = (
    "Says what to do, and in which order.",
    "Tells me how, not only what.",
    "Says one thing more that I need.",
    "",
    "",
)


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written in example.toml, looked up by text."""

    drafts: dict[str, tuple[str, ...]]  # by the prompt's text
    after: dict[str, tuple[str, str]]  # critique and revision, by the draft's text
    good: dict[str, float]  # how good each text is
    prompts: tuple[dict[str, object], ...]

    @classmethod
    def read(cls) -> "Writing":
        said = tomllib.loads((HERE / "example.toml").read_text(encoding="utf-8"))["said"]
        prompts = {one["id"]: one for one in prompts_of("everyday", "factual", "opinions")}
        drafts: dict[str, tuple[str, ...]] = {}
        after: dict[str, tuple[str, str]] = {}
        good: dict[str, float] = {}
        for one in said:
            texts = [[text["text"].strip() for text in one[part]] for part in ("drafts", "revisions")]
            drafts[str(prompts[one["prompt"]]["prompt"])] = tuple(texts[0])
            after |= {d: (c, r) for d, c, r in zip(texts[0], one["critiques"], texts[1], strict=True)}
            good |= {text["text"].strip(): text["good"] for part in ("drafts", "revisions") for text in one[part]}
        return cls(drafts, after, good, tuple(prompts[one["prompt"]] for one in said))

    def reply(self, request: ChatRequest) -> ChatReply:
        """Plays the policy, the critic and the judge of the run."""
        turns = [message.content for message in request.messages if message.role == "assistant"]
        if request.top_logprobs:
            return self.verdict(request)
        if not turns:
            return spoken(request, self.drafts[request.messages[-1].content][request.sample % 2])
        return spoken(request, self.after[turns[0]][len(turns) - 1])

    def verdict(self, request: ChatRequest) -> ChatReply:
        """A judge that is right more often than not, likes length and the first place a little."""
        asked = request.messages[-1].content
        shown = {match["slot"]: match["text"].strip() for match in CANDIDATE.finditer(asked)}
        one, two = shown["1"], shown["2"]
        doubt = unit_interval("doubt", asked.rpartition("\n=== ")[2], *sorted((one, two))) - 0.5
        lean = 0.7 * (self.good[one] - self.good[two]) + (len(one) - len(two)) / 900
        p = 1 / (1 + math.exp(-lean - 2.5 * doubt * (1 if one < two else -1) - 0.3))
        first = (TokenLogprob("1", math.log(p)), TokenLogprob("2", math.log(1 - p)))
        return spoken(request, "1" if p > 0.5 else "2", first)


def spoken(request: ChatRequest, text: str, first_token: tuple[TokenLogprob, ...] = ()) -> ChatReply:
    read = sum(len(message.content) for message in request.messages) // 4
    return ChatReply("", text, "stop", "writer", Usage(read, max(1, len(text) // 4)), first_token)


def prompts_of(*files: str) -> Iterator[dict[str, object]]:
    for file in files:
        lines = (ROOT / "examples" / "prompts" / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()
        yield from (json.loads(line) for line in lines)


def make(root: Path) -> Path:
    """Makes everything below ``root`` and gives the reviewed run's folder."""
    writing = Writing.read()
    configure(root / RUN, writing.prompts, {"backend": "scripted", "model": "writer"})
    rambler = {"backend": "scripted", "model": "rambler", "latency": 0.25}
    configure(root / SECOND, list(prompts_of("everyday", "factual")), rambler)
    folder = root / "runs" / RUN
    carried_out("run", root / RUN / "run.toml", "--out", folder)
    draw(folder, writing)
    review(folder, writing)
    invite(root)
    return folder


def configure(place: Path, prompts: Iterable[dict[str, object]], policy: dict[str, object]) -> None:
    place.mkdir(parents=True)
    judge = {"backend": "scripted", "model": policy["model"], "allow_same_family": True, "canaries": 0.0}
    judge["principles"] = "all" if place.name == RUN else "one"
    config = {"name": place.name, "constitution": "helpful-honest.toml", "prompts": {"files": ["prompts.jsonl"]},
              "policy": policy, "judge": judge, "candidates": {"completions": 2, "rounds": 1},
              "pairs": {"policy": "all", "min_margin": 0.1}, "limits": {"in_flight": 4}}  # fmt: skip
    (place / "run.toml").write_text(tomlkit.dumps(config), encoding="utf-8")
    (place / "prompts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts), encoding="utf-8")
    shipped = (ROOT / "principles" / "helpful-honest.toml").read_bytes()
    (place / "helpful-honest.toml").write_bytes(shipped)


def carried_out(*words: object) -> None:
    """A command of Solon's, with the writer among its scripts."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)], capture_output=True, text=True, env=environment()
    )
    if done.returncode:
        sys.exit(f"{words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


def draw(folder: Path, writing: Writing) -> None:
    """60 items, two people each, and some whose better side is plain."""
    with Journal.open(open_folder(folder).journal, read_only=True) as journal:
        rows = list(stored_rows(journal))
    texts = {one.id: one.text for row in rows for one in row.made.candidates}
    plain = []
    for row in rows:
        for label in row.labels:
            apart = writing.good[texts[label.a]] - writing.good[texts[label.b]]
            if abs(apart) >= 3:
                plain.append((couple_id(label.a, label.b), "1" if (apart > 0) == (label.a < label.b) else "2"))
                break
    gold = folder.parents[1] / "gold.csv"
    gold.write_text("item,choice\n" + "".join(f"{item},{choice}\n" for item, choice in plain[:6]), encoding="utf-8")
    carried_out("review", "draw", folder, "--n", 60, "--overlap", 2, "--gold", gold, "--gold-share", 0.25)


def review(folder: Path, writing: Writing) -> None:
    began = time.time() - 3 * DAY
    with open_review(open_folder(folder)) as store:
        store.set_guidelines(GUIDELINES[0], "lea", began - 3600)
        tasks = {task.item: task for task in store.tasks()}
        rng = random.Random(7)
        label(store, tasks, writing, Labelling("maya", 16, began, rng))
        store.set_guidelines(GUIDELINES[1], "lea", began + 0.5 * DAY)
        label(store, tasks, writing, Labelling("maya", 16, began + 0.8 * DAY, rng))
        label(store, tasks, writing, Labelling("jonas", 26, began + DAY, rng))
        label(store, tasks, writing, Labelling("felix", 26, began + 1.6 * DAY, rng, care=0.0))
        label(store, tasks, writing, Labelling("priya", 22, began + 2 * DAY, rng))
        label(store, tasks, writing, Labelling("ana", 11, time.time() - 1500, rng))
        decided = store.disputes()[0]
        why = "Both advise the same, but only one of them says how to notice that it went wrong."
        store.decide(Decision(decided.item, better(tasks[decided.item], writing), "lea", why, time.time() - 3600))


@dataclass(frozen=True, slots=True)
class Labelling:
    who: str
    count: int
    began: float
    rng: random.Random
    care: float = 1.0  # 0: chooses without reading


def label(store: Store, tasks: dict[str, StoredTask], writing: Writing, by: Labelling) -> None:
    now = by.began
    for number in range(by.count):
        leased = store.next(by.who, now)
        if leased is None:
            return
        now += by.rng.uniform(25, 95) if by.care else by.rng.uniform(2, 5)
        key = f"{by.who}-{by.began:.0f}-{number}"
        if by.care and number == 9:
            store.skip(by.who, leased.item, "I do not know enough about the subject", key=key, now=now)
            continue
        texts = tasks[leased.item].task.body.completions
        said = careful(texts, leased.side, writing, by) if by.care else Said("1")
        if by.who == "jonas" and number == 4:
            text = texts[leased.side - 1] + " If you are not sure, ask somebody who has done it before."
            store.edit(by.who, leased.item, Edited(1, text), key=f"{key}-edit", now=now)
        store.save(by.who, leased.item, said, key=key, now=now)
        now += 3


def careful(texts: tuple[str, str], side: Side, writing: Writing, by: Labelling) -> Said:
    flag = (
        "It claims to have travelled. Is that a fault under our guidelines?"
        if any("last spring" in one for one in texts)
        else ""
    )
    apart = writing.good[texts[0]] - writing.good[texts[1]] + by.rng.gauss(0, 0.6)
    if abs(apart) < 0.5:
        fine = writing.good[texts[0]] > 4
        choice: Choice = by.rng.choice(("tie", "both good")) if fine else "both bad"
        return Said(choice, None, "Hardly a difference." if by.rng.random() < 0.4 else "", flag)
    mine, other = texts if apart > 0 else reversed(texts)
    why = by.rng.choice(LONGER if len(mine) > len(other) else SHORTER)
    return Said(shown_choice("1" if apart > 0 else "2", side), min(4, 1 + int(abs(apart))), why, flag)


def better(task: StoredTask, writing: Writing) -> Choice:
    one, two = (writing.good[text] for text in task.task.body.completions)
    return "1" if one >= two else "2"


def invite(root: Path) -> None:
    accounts = Accounts.open(Database.file(root / "accounts.db"))
    hashed, now = hash_of(PASSWORD), time.time()
    for name, role in PEOPLE.items():
        link = accounts.add(name, role, ["*"] if role != "annotator" else [RUN], now)
        accounts.accept(link, name, hashed, now)


if __name__ == "__main__":
    from solon.cli import main

    SCRIPTS["writer"] = Writing.read().reply
    main()
