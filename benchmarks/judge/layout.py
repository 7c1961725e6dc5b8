"""What the layout of a judge's prompt does for prefix caches: Solon's beside the naive one, on real engines.

    python benchmarks/judge/layout.py --engine llamacpp
    .venv-vllm/bin/python benchmarks/judge/layout.py --engine vllm

Pairs are judged under the eight principles of `no-sycophancy` in both orders, by SmolLM2-135M. Solon's layout has the
pair first and the principle last, and goes the way of a run: `judge_couple`, patience, door, backend. The naive one has
the same words with the principle first, and all its calls are sent at once, principle by principle. The two take turns;
each repeat has texts of its own, so that nothing is in a cache from before. What every call begins with, the template's
system message, is cached in both; the naive layout also finds a principle again, so it gains with more pairs a repeat.

Prints a table in Markdown: sums over the repeats for tokens, medians for time, and for the ratio the median of the
repeats' own. For vLLM the weights must lie in a folder; `make test-vllm` sets up both.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

from constitution.files import find, load
from constitution.principle import Principle
from constitution.requests import preference_request
from generator.candidates import Candidate, Candidates
from generator.chat import Backend, ChatReply, ChatRequest, Message, Outcome, call_key
from generator.models.calling import Persistent
from generator.models.door import Door
from generator.models.llamacpp import SMOLLM2
from generator.prompts import Prompt
from judge.asking import Asking, verdict_request
from judge.judging import Judging, judge_couple
from judge.pairwise import Juror
from solon.backends import MOST_SLOTS, open_backend
from solon.config import Limits
from solon.endpoints import Endpoint
from solon.engines.local import run_prompts

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-vllm/smollm2"
JUDGED_BY = "no-sycophancy"  # eight principles, none of them decided by a check
WRITTEN_FOR = ("helpful-honest", "harmless", "balanced-refusal")  # whose examples lend their texts
SHORT, LONG = 2, 4  # examples' texts in a pair's shorter and in its longer completion: some 100 and 200 tokens
ASKING = Asking(seed=0, shared=True)
CALLED = {"solon": "pair first, principle last, sent together", "naive": "principle first, all at once"}


@dataclass(slots=True)
class Judge:
    """A ``ChatModel`` as in a run, without the journal: it counts what the endpoint says that it read."""

    backend: Backend
    calls: int = 0
    read: int = 0  # prompt tokens
    cached: int = 0  # of them, from a cache

    async def reply(self, request: ChatRequest) -> Outcome:
        key = call_key(self.backend.identity, request)
        raw = await self.backend.send(key, request)
        assert isinstance(raw, bytes), raw
        outcome = self.backend.read(key, request, raw)
        assert isinstance(outcome, ChatReply), outcome
        self.calls += 1
        self.read += outcome.usage.prompt
        self.cached += outcome.usage.cached
        return outcome


@dataclass(frozen=True, slots=True)
class Measured:
    """One layout on one repeat's pairs."""

    pairs: int
    read: int
    cached: int
    seconds: float

    @property
    def rate(self) -> float:
        """Pairs a second; a pair is all its principles in both orders."""
        return self.pairs / self.seconds


@dataclass(frozen=True, slots=True)
class Size:
    repeats: int
    pairs: int  # of each repeat
    in_flight: int  # calls at once


def pairs() -> Iterator[Candidates]:
    """Pairs of a short and a long completion, put together from the examples in the principle files; no text twice."""
    principles = [p for name in WRITTEN_FOR for p in load(find(name, ROOT)).principles]
    examples = iter([e for p in principles for e in p.examples])
    while len(group := list(islice(examples, (SHORT + LONG) // 2))) == (SHORT + LONG) // 2:
        texts = [text for example in group for text in (example.better, example.worse)]
        prompt = Prompt(f"pair-{group[0].prompt}", (Message("user", group[0].prompt),))
        shown = (" ".join(texts[:SHORT]), " ".join(texts[SHORT:]))
        yield Candidates(prompt, tuple(Candidate(str(n), text, "stop", "", n, 0) for n, text in enumerate(shown)))


async def as_solon(made: Sequence[Candidates], principles: Sequence[Principle], judge: Judge, in_flight: int) -> None:
    """As many pairs at once as a run with two completions for each prompt has on their way."""
    judging = Judging((Juror(judge),), "all", "all", ASKING)
    by_prompt = {one.prompt: one for one in made}

    async def work(prompt: Prompt) -> None:
        one, other = by_prompt[prompt].candidates
        await judge_couple(by_prompt[prompt], (one, other), principles, judging)

    await run_prompts(by_prompt, work, max(1, in_flight // 2 + in_flight // 4))


async def naively(made: Sequence[Candidates], principles: Sequence[Principle], judge: Judge, in_flight: int) -> None:
    """All at once; the door lets out as many as there are places, in this order."""
    await asyncio.gather(*(judge.reply(r) for p in principles for one in made for r in naive_requests(one, p)))


def naive_requests(made: Candidates, principle: Principle) -> Iterator[ChatRequest]:
    """Both orders of the pair in Solon's own words, with the principle moved to the front."""
    one, other = (candidate.text for candidate in made.candidates)
    question = preference_request(principle)
    for shown in ((one, other), (other, one)):
        request = verdict_request(made.prompt, *shown, principle, ASKING)
        pair, _, ask = request.messages[0].content.rpartition(question)
        yield replace(request, messages=(Message("user", f"{question}\n{pair}{ask.lstrip()}"),), shared=0)


WAYS: dict[str, Callable[[Sequence[Candidates], Sequence[Principle], Judge, int], Awaitable[None]]] = {
    "solon": as_solon,
    "naive": naively,
}


async def measure(layout: str, made: Sequence[Candidates], backend: Backend, in_flight: int) -> Measured:
    principles = load(find(JUDGED_BY, ROOT)).principles
    judge = Judge(backend)
    start = time.perf_counter()
    await WAYS[layout](made, principles, judge, in_flight)
    seconds = time.perf_counter() - start
    assert judge.calls == len(made) * len(principles) * 2, judge.calls
    return Measured(len(made), judge.read, judge.cached, seconds)


async def compare(endpoint: Endpoint, size: Size) -> dict[str, list[Measured]]:
    """Both layouts on every repeat's pairs; who goes first changes with every repeat."""
    backend = Persistent(open_backend(endpoint, Limits(in_flight=size.in_flight), ROOT), Door(size.in_flight))
    told: dict[str, list[Measured]] = {layout: [] for layout in WAYS}
    source = pairs()
    try:
        await measure("solon", list(islice(source, 1)), backend, size.in_flight)  # warm-up
        for repeat in range(size.repeats):
            made = list(islice(source, size.pairs))
            assert len(made) == size.pairs, "the principle files have no more examples: ask for fewer pairs"
            for layout in list(WAYS)[:: 1 if repeat % 2 == 0 else -1]:
                told[layout].append(await measure(layout, made, backend, size.in_flight))
    finally:
        await backend.close()
    return told


def table(engine: str, told: Mapping[str, Sequence[Measured]]) -> Iterator[str]:
    yield "| engine | layout | prompt tokens | cached | seconds a repeat | pairs a second | beside naive |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for layout, repeats in told.items():
        read, cached = sum(one.read for one in repeats), sum(one.cached for one in repeats)
        ratio = median(one.rate / naive.rate for one, naive in zip(repeats, told["naive"], strict=True))
        seconds, rate = median(one.seconds for one in repeats), median(one.rate for one in repeats)
        yield (
            f"| {engine} | {CALLED[layout]} | {read:,} | {cached / read:.0%} "
            f"| {seconds:.1f} | {rate:.3f} | {ratio:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("llamacpp", "vllm"), required=True)
    parser.add_argument("--model", default=str(FOLDER), help="vLLM's model folder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pairs", type=int, help="of each repeat; 3 on llama.cpp, 4 on vLLM")
    parser.add_argument("--in-flight", type=int, help="calls at once; 2 on llama.cpp, 64 on vLLM")
    given = parser.parse_args()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    if given.engine == "vllm":
        endpoint, size = Endpoint("vllm", given.model), Size(given.repeats, given.pairs or 4, given.in_flight or 64)
        name = "vLLM"
    else:
        endpoint, size = Endpoint("llamacpp", SMOLLM2), Size(given.repeats, given.pairs or 3, given.in_flight or 2)
        slots = min(size.in_flight, MOST_SLOTS)
        name = f"llama.cpp, {slots} slot{'s' if slots > 1 else ''}"
    told = asyncio.run(compare(endpoint, size))
    print("\n".join(table(f"{name}, {size.in_flight} in flight", told)))


if __name__ == "__main__":  # vLLM's processes read this file again
    main()
