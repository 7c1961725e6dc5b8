import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from constitution.errors import InputError
from generator.models.vllm_server import VllmServer

# Listens where it is told and tells what it was started with; a child of its own lives as long as it does.
FAKE = """
import http.server, json, os, subprocess, sys, time

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = {"arguments": sys.argv[1:], "key": os.environ["VLLM_API_KEY"], "child": child.pid, "pid": os.getpid(),
                "group": os.getpgid(0), "usage": os.environ["VLLM_NO_USAGE_STATS"]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_):
        pass

port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
DEAD = "import sys; print('loading'); sys.exit('no such architecture: Llamb')"
STUCK = "import time; print('still loading', flush=True); time.sleep(600)"
HOLDER = """
import sys, time
from generator.models.vllm_server import VllmServer

server = VllmServer.start("tiny", command=sys.argv[1:])
print(server.url, flush=True)
time.sleep(600)
"""


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def told(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/health", timeout=10) as answer:
        said: dict[str, object] = json.loads(answer.read())
    return said


def is_gone(pid: object) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def soon(true: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if true():
            return True
        time.sleep(0.02)
    return False


def test_a_server_is_started_for_one_model_on_loopback_and_stopped_with_all_that_it_started() -> None:
    server = VllmServer.start("tiny", ("--max-model-len", "512"), command=python(FAKE))
    said = told(server.url)
    arguments = said["arguments"]
    assert isinstance(arguments, list)
    assert arguments[:3] == ["tiny", "--host", "127.0.0.1"]
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(arguments)
    assert arguments[-2:] == ["--max-model-len", "512"]
    assert said["usage"] == "1"
    server.stop()
    assert is_gone(said["pid"])
    assert soon(lambda: is_gone(said["child"]))
    server.stop()  # once more does nothing


def test_the_key_is_made_up_for_each_server_and_stands_in_no_argument() -> None:
    one, two = (VllmServer.start("tiny", command=python(FAKE)) for _ in range(2))
    said = told(one.url)
    assert said["key"] == one.key
    assert one.key not in str(said["arguments"])
    assert one.key != two.key
    assert len(one.key) >= 32
    one.stop()
    two.stop()


def test_ctrl_c_does_not_reach_the_server() -> None:
    server = VllmServer.start("tiny", command=python(FAKE))
    assert told(server.url)["group"] != os.getpgid(0)
    server.stop()


def test_a_server_that_nobody_holds_any_more_is_stopped() -> None:
    server = VllmServer.start("tiny", command=python(FAKE))
    said = told(server.url)
    del server
    assert is_gone(said["pid"])


def test_a_server_ends_with_the_process_that_started_it_also_when_that_is_killed() -> None:
    holder = subprocess.Popen([*python(HOLDER), *python(FAKE)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    said = told(holder.stdout.readline().strip())
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert soon(lambda: is_gone(said["pid"]))
    assert soon(lambda: is_gone(said["child"]))


def test_a_server_that_ends_while_it_loads_is_told_with_its_last_words() -> None:
    with pytest.raises(InputError, match=r"^tiny: vLLM's server ended with status 1 \(loading no such architecture"):
        VllmServer.start("tiny", command=python(DEAD))


def test_a_server_that_takes_too_long_is_stopped_and_told() -> None:
    with pytest.raises(InputError, match=r"not ready after 1 s \(still loading\)"):
        VllmServer.start("tiny", command=python(STUCK), within=1.0)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed")
def test_without_vllm_one_line_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match=r"vllm is not installed: pip install 'solon\[vllm\]'"):
        VllmServer.start("tiny")
