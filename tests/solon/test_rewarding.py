"""Rewards as a run has them: a judge is asked what no check decides, once, within the budget, and never guessed for."""

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError, NotFinished
from generator.chat import Message
from generator.models import rambler
from generator.prompts import Prompt
from judge.grades import Grade
from solon.config_file import load_config
from solon.folder import RunFolder
from solon.journal import Journal
from solon.rewarding import JudgeReward, open_reward, share_of
from trainer.rewards import CheckReward, name_of

WriteRun = Callable[..., Path]
Said = tuple[int, dict[str, str], dict[str, Any]]
Serve = Callable[[Callable[[Mapping[str, str], dict[str, Any] | None], Said]], Any]
PROMPT = Prompt("p", (Message("user", "Why do bees dance?"),))
SHORT = {"id": "short", "rule": "At most 5 words.", "check": {"name": "max_words", "words": 5}}
KIND = {"id": "kind", "rule": "It is kind.", "weight": 3.0}
TRUE = {"id": "true", "rule": "It is true.", "applies_to": ["factual"]}


@pytest.fixture
def folder_of(write_run: WriteRun) -> Callable[..., RunFolder]:
    """The folder of a run that has begun under ``principles``."""

    def make(*principles: dict[str, Any], **changes: Any) -> RunFolder:
        config = write_run(changes, principles=principles)
        folder = RunFolder(config.parent / "out", load_config(config), config.parent)
        folder.path.mkdir(exist_ok=True)
        folder.principles_file.write_bytes(folder.source_principles().read_bytes())
        return folder

    return make


FolderOf = Callable[..., RunFolder]


def says(text: str | Callable[[str], str]) -> Callable[[Mapping[str, str], dict[str, Any] | None], Said]:
    def answer(headers: Mapping[str, str], body: dict[str, Any] | None) -> Said:
        assert body
        content = text if isinstance(text, str) else text(body["messages"][-1]["content"])
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        usage = {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51}
        return 200, {}, {"id": "1", "object": "chat.completion", "created": 0, "model": "j", "choices": [choice],
                         "usage": usage}  # fmt: skip

    return answer


def judged_at(url: str) -> dict[str, Any]:
    return {"backend": "openai", "model": "j", "base_url": url}


def test_where_every_principle_has_a_check_no_model_is_opened(folder_of: FolderOf) -> None:
    folder = folder_of(SHORT, judge=judged_at("http://127.0.0.1:1/v1"))
    with open_reward(folder, "constitution") as reward:
        assert isinstance(reward, CheckReward)
        assert reward([PROMPT] * 2, ["To tell of flowers.", "To tell the other bees where flowers are."]) == [1.0, 0.0]
    assert not (folder.path / "journal.db").exists()


def test_the_judges_chance_of_yes_is_weighed_with_the_checks(folder_of: FolderOf) -> None:
    folder = folder_of(SHORT, KIND, TRUE)
    short, long = "To tell of flowers.", "word " * 80
    with open_reward(folder, "constitution") as reward:
        told = reward([PROMPT, PROMPT], [short, long])
        assert reward.name == f"{name_of(folder.principles())}, judged by rambler"

    def yes(words: int) -> float:
        return rambler.yes_or_no(words)["Yes"]

    assert told == pytest.approx([(1 + 3 * yes(4)) / 4, (0 + 3 * yes(80)) / 4])


def test_only_what_applies_is_asked_and_each_reply_is_paid_for_once(folder_of: FolderOf, serve: Serve) -> None:
    service = serve(says(lambda asked: "Yes" if "kind" in asked else "No"))
    folder = folder_of(SHORT, KIND, TRUE, judge=judged_at(service.url))
    factual = Prompt("f", PROMPT.messages, ("factual",))
    with open_reward(folder, "constitution") as reward:
        assert reward([PROMPT], ["To dance."]) == pytest.approx([1.0])
        assert len(service.asked) == 1
        assert reward([factual, PROMPT], ["To dance."] * 2) == pytest.approx([0.8, 1.0])
        assert len(service.asked) == 2  # what was asked of the same words was known
    with open_reward(folder, "constitution") as reward:
        assert reward([factual, factual], ["To dance."] * 2) == pytest.approx([0.8, 0.8])
        assert isinstance(reward, JudgeReward)
        assert (reward.meter.sent, reward.meter.reused) == (0, 2)  # two who ask the same at once share a call
    assert len(service.asked) == 2


def test_a_judge_that_does_not_say_leaves_no_reward(folder_of: FolderOf, serve: Serve) -> None:
    service = serve(says(lambda asked: "Hard to tell" if "silent" in asked else "Yes"))
    with open_reward(folder_of(SHORT, KIND, judge=judged_at(service.url)), "constitution") as reward:
        assert reward([PROMPT] * 2, ["The silent one.", "The other one."]) == [None, pytest.approx(1.0)]


def test_several_threads_may_ask_at_once(folder_of: FolderOf) -> None:
    with open_reward(folder_of(SHORT, KIND), "constitution") as reward, ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda n: reward([PROMPT], ["word " * n])[0], range(24)))
    with open_reward(folder_of(SHORT, KIND), "constitution") as reward:
        assert reward([PROMPT] * 24, ["word " * n for n in range(24)]) == told


@pytest.mark.parametrize(
    ("answer", "changes", "error", "said"),
    [
        ((401, {}, {"error": {"message": "no"}}), {}, ModelError, "auth"),
        (None, {"budget": {"tokens": 1000}}, NotFinished, "budget"),
    ],
)
def test_what_stops_the_asking_is_told_to_everybody_who_asks_after(
    folder_of: FolderOf, serve: Serve, answer: Said | None, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    service = serve((lambda headers, body: answer) if answer else says("Yes"))
    folder = folder_of(KIND, judge=judged_at(service.url), **changes)
    completions = [f"Number {n}." for n in range(9)]
    with open_reward(folder, "constitution") as reward:
        for _ in range(2):
            with pytest.raises(error, match=said):
                reward([PROMPT] * 9, completions)
    paid = len(service.asked)
    with Journal.open(folder.journal, read_only=True) as journal:
        assert sum(spent.calls for spent in journal.spent()) == (0 if answer else paid)
    assert answer or 0 < paid < 9


@pytest.mark.parametrize("name", ["model", "elsewhere/rm"])
def test_a_reward_model_that_is_not_there_is_named(folder_of: FolderOf, name: str) -> None:
    folder = folder_of(SHORT)
    place = folder.model("reward") if name == "model" else folder.beside / name
    with pytest.raises(InputError, match=f"{place}: no such folder"), open_reward(folder, name):
        pass


def test_a_grade_becomes_a_share() -> None:
    def share(value: float, scale: Any) -> float:
        return share_of(Grade("c", "p", value, scale, ""))

    assert [share(n, "1-10") for n in (1.0, 5.5, 10.0)] == [0.0, 0.5, 1.0]
    assert share(0.0, "yes-no") == 0.5
    assert share(math.log(3), "yes-no") == pytest.approx(0.75)
