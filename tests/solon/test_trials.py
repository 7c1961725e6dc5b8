import json
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from solon.trials import read_trials

GOOD: dict[str, Any] = {"prompt": "Why?", "completion_1": "one", "completion_2": "two", "choice": 1}


def written(path: Path, *lines: Any) -> Path:
    file = path / "labelled.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


def test_trials_are_read_in_their_order_and_empty_lines_are_none(tmp_path: Path) -> None:
    lines = (GOOD, "", {**GOOD, "choice": 2, "tags": ["science"]}, "  ", {**GOOD, "prompt": "How?", "choice": "tie"})
    trials = read_trials(written(tmp_path, *lines))
    assert [trial.choice for trial in trials] == [1, 2, "tie"]
    assert trials[0].completions == ("one", "two")
    assert [trial.prompt.text for trial in trials] == ["Why?", "Why?", "How?"]
    assert [trial.prompt.tags for trial in trials] == [(), ("science",), ()]
    assert trials[0].prompt.id == trials[1].prompt.id != trials[2].prompt.id


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    raw = json.dumps({**GOOD, "completion_1": "one\u2028more"}, ensure_ascii=False)
    assert read_trials(written(tmp_path, raw))[0].completions[0] == "one\u2028more"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({**GOOD, "choice": 3}, "'choice' cannot be read"),
        ({**GOOD, "choice": "both bad"}, "'choice' cannot be read"),
        ({**GOOD, "chioce": 1}, "unknown key 'chioce'"),
        ({key: GOOD[key] for key in ("prompt", "completion_1", "choice")}, "missing key 'completion_2'"),
        ({**GOOD, "prompt": ""}, "'prompt' cannot be read"),
        ({**GOOD, "completion_2": None}, "'completion_2' cannot be read"),
        ("{", "is not JSON"),
        ("[1]", ""),
        ('"text"', ""),
    ],
)  # fmt: skip
def test_a_line_that_is_no_trial_is_refused_with_its_number(tmp_path: Path, line: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"labelled\.jsonl:3: .*{message}") as refusal:
        read_trials(written(tmp_path, GOOD, "", line))
    assert "\n" not in str(refusal.value)


def test_a_file_without_a_trial_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no comparison"):
        read_trials(written(tmp_path, "", " "))
    with pytest.raises(InputError, match=r"absent\.jsonl: cannot be read .*: correct 'labelled' in \[cascade\]"):
        read_trials(tmp_path / "absent.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        read_trials(tmp_path / "bytes.jsonl")
