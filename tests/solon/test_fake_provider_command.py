import json
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

Begin = Callable[..., subprocess.Popen[str]]
Cli = Callable[..., subprocess.CompletedProcess[str]]
FAULTS = '[[fault]]\nkind = "server-error"\nmodel = "another"\n'


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:"), line
    return line.removeprefix("listening on ").strip()


def ask(url: str, key: str) -> int:
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return int(response.status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_answers_and_ends_cleanly(begin: Begin, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "faults.toml").write_text(FAULTS)
    options = ("--port", 0, "--latency", 0.01, "--faults", "faults.toml", "--log", "server.jsonl", "--key-env", "KEY")
    process = begin("fake-provider", *options, KEY="secret")
    assert ask(address(process), "secret") == 200
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert [json.loads(line)["event"] for line in (tmp_path / "server.jsonl").read_text().splitlines()] == [
        "begin",
        "end",
    ]


def test_bad_input_is_told_in_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text('[[fault]]\nkind = "sulk"\n')
    for options, told in (
        (("--faults", "faults.toml"), "faults.toml:2: 'fault.0.kind' cannot be read"),
        (("--key-env", "NOT_SET_ANYWHERE"), "--key-env NOT_SET_ANYWHERE: the variable is not set"),
    ):
        said = cli("fake-provider", "--port", 0, *options)
        assert said.returncode == 2
        assert said.stderr.startswith("error: ")
        assert told in said.stderr
        assert len(said.stderr.splitlines()) == 1
