"""How fast Solon sends, and what a call costs it, beside raw aiohttp in the same run.

A mock answers after 0.2 s from a process of its own, on the other core; each client has one core. Solon
does all of its work: the run is read, every reply is durable before it is used, rows, summary and report
are written. The rate is that from the first request to the last answer, as the mock saw them; CPU and memory
are the whole process's, its start and its report included. Bars: 0.90 of raw aiohttp's rate, 0.8 ms of CPU a
call, 150 MB.

    python benchmarks/throughput.py [--calls 10000] [--rounds 3]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

IN_FLIGHT, LATENCY = 256, 0.2
LEAST_RATE, MOST_CPU, MOST_MEMORY = 0.90, 0.8, 150
BODY = {
    "id": "x", "object": "chat.completion", "model": "echo",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A word. " * 40}}],
    "usage": {"prompt_tokens": 90, "completion_tokens": 80, "total_tokens": 170},
}  # fmt: skip
CONFIG = """\
name = "throughput"
constitution = "principles.toml"
[prompts]
files = ["prompts.jsonl"]
[policy]
backend = "openai"
model = "echo"
base_url = "{url}/v1"
max_tokens = 200
[judge]
backend = "openai"
model = "echo"
allow_same_family = true
base_url = "{url}/v1"
[candidates]
completions = 1
rounds = 0
[limits]
in_flight = {in_flight}
"""
PRINCIPLES = """\
[constitution]
title = "Short"
[[principle]]
id = "short"
rule = "At most 60 words."
check = {name = "max_words", words = 60}
"""


@dataclass(frozen=True, slots=True)
class Took:
    seconds: float  # of the whole process
    sending: float  # from the first request to the last answer, by the server's clock
    cpu: float  # seconds, of user and system
    memory: float  # MB at its highest
    calls: int

    @property
    def told(self) -> str:
        rate, each = self.calls / self.sending, self.cpu / self.calls * 1000
        return (
            f"{rate:.0f} calls/s over {self.sending:.2f} s, {self.seconds:.2f} s in all, "
            f"{each:.3f} ms CPU a call, {self.memory:.0f} MB"
        )


def prompt(number: int) -> str:
    return f"Why does the thing number {number} matter so much? " + "Think of all that hangs on it. " * 10


def serve() -> None:
    """The mock: reads a request, waits, answers."""
    import asyncio

    from aiohttp import web

    os.sched_setaffinity(0, {1})
    body = json.dumps(BODY).encode()

    span: list[float] = []

    async def chat(request: web.Request) -> web.Response:
        if not span:
            span.append(time.monotonic())
        await request.read()
        await asyncio.sleep(LATENCY)
        span[1:] = [time.monotonic()]
        return web.Response(body=body, content_type="application/json")

    async def lasted(request: web.Request) -> web.Response:
        first, last = span
        span.clear()
        return web.json_response(last - first)

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/lasted", lasted)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


def raw(url: str, calls: int) -> None:
    """The reference: aiohttp alone, the same bodies, nothing kept."""
    import asyncio

    import aiohttp

    async def main() -> None:
        numbers = iter(range(calls))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def worker() -> None:
                for number in numbers:
                    message = {"role": "user", "content": prompt(number)}
                    body = {"model": "echo", "messages": [message], "max_tokens": 200, "temperature": 1.0}
                    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                        json.loads(await response.read())

            await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))

    asyncio.run(main())


def client(arguments: list[str], url: str, folder: Path, calls: int) -> Took:
    """Runs a client in a process of its own on core 0; the operating system says what it took."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            stdout=said,
            stderr=said,
            preexec_fn=lambda: os.sched_setaffinity(0, {0}),
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status:
            said.seek(0)
            raise SystemExit(f"{arguments}: status {status}\n{said.read()}")
    sending = json.load(urllib.request.urlopen(f"{url}/lasted"))
    return Took(seconds, sending, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--raw", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        return serve()
    if chosen.raw:
        return raw(chosen.raw, chosen.calls)
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        compare(url, chosen.calls, chosen.rounds)
    finally:
        server.kill()
        server.wait()


def compare(url: str, calls: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "run.toml").write_text(CONFIG.format(url=url, in_flight=IN_FLIGHT))
        (folder / "principles.toml").write_text(PRINCIPLES)
        lines = (json.dumps({"prompt": prompt(number), "id": f"p{number}"}) + "\n" for number in range(calls))
        (folder / "prompts.jsonl").write_text("".join(lines))
        reference, ours = [], []
        for number in range(rounds):
            reference.append(client([__file__, "--raw", url, "--calls", str(calls)], url, folder, calls))
            ours.append(client(["-c", "from solon.cli import main; main()", "run", "run.toml"], url, folder, calls))
            shutil.rmtree(folder / "runs")
            print(f"round {number + 1}: raw aiohttp {reference[-1].told}")
            print(f"         solon       {ours[-1].told}", flush=True)
    rate = statistics.median(r.sending / o.sending for r, o in zip(reference, ours, strict=True))
    cpu = statistics.median(o.cpu / o.calls * 1000 for o in ours)
    memory = max(o.memory for o in ours)
    print(f"rate {rate:.3f} of raw aiohttp's (bar {LEAST_RATE}), {cpu:.3f} ms CPU a call (bar {MOST_CPU}), "
          f"{memory:.0f} MB (bar {MOST_MEMORY})")  # fmt: skip
    sys.exit(rate < LEAST_RATE or cpu > MOST_CPU or memory > MOST_MEMORY)


if __name__ == "__main__":
    main()
