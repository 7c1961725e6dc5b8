"""What stops a run at its endpoint: refusals, silence, the budget. Parts a to c of `stops.py`."""

import random
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from harness import (
    Bars,
    Finished,
    Provider,
    Table,
    begin,
    billed,
    calls,
    endpoint,
    exported,
    is_one_line,
    kill,
    provider,
    solon,
    write_run,
)

SOON = 2.0  # seconds for a run that is refused, from its start to its end
AT_ONCE = 0.1  # seconds in which word of a refusal or of Ctrl-C reaches everybody
DEADLINE = 2.0
REFUSALS = {"auth": 1, "forbidden": 1, "unknown-model": 2, "quota": 3, "credit": 3}  # kind to exit code
KEYS = {"policy": "a-good-policy-key", "judge": "a-good-judge-key"}
PRICE = {"input": 3.0, "output": 5.0, "cached_input": 0.3}  # made up
CAPS: tuple[tuple[str, float], ...] = (("usd", 2.8), ("tokens", 800_000))  # between 1,000 drafts' worst case and all
IN_FLIGHT = 16


def refusals(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """Each refusal, from the policy's endpoint or the judge's, by both APIs; then the run with the cause gone."""
    with (
        provider(folder / "policy", key=KEYS["policy"]) as policy,
        provider(folder / "judge", key=KEYS["judge"]) as judge,
    ):
        for kind, code in REFUSALS.items():
            faults = None if kind == "auth" else {"fault": [{"kind": kind}]}
            with provider(folder / kind, faults=faults, key="another-key" if kind == "auth" else "") as refusing:
                for backend in ("openai", "anthropic"):
                    for role in ("policy", "judge"):
                        place = folder / f"{kind}-{backend}-{role}"
                        servers = {"policy": policy, "judge": judge}
                        refused(place, servers, refusing, role, backend, (kind, code), bars)


def refused(
    folder: Path, good: Mapping[str, Provider], refusing: Provider, role: str, backend: str,
    expected: tuple[str, int], bars: Bars,
) -> None:  # fmt: skip
    kind, code = expected
    other = good["judge" if role == "policy" else "policy"]
    marks = refusing.mark(), other.mark()
    said = solon(
        "run",
        with_keys(folder, {**good, role: refusing}, backend),
        cwd=folder,
        POLICY_KEY=KEYS["policy"],
        JUDGE_KEY=KEYS["judge"],
    )
    asked = list(refusing.entries(marks[0]))
    ends = [refusing.started + entry["at"] for entry in calls(asked, "end")]
    late = [e for e in calls(other.entries(marks[1])) if other.started + e["at"] > ends[0] + AT_ONCE] if ends else []
    again = solon(
        "run", with_keys(folder, good, backend), cwd=folder, POLICY_KEY=KEYS["policy"], JUDGE_KEY=KEYS["judge"]
    )
    bars.hold(
        f"{kind} from the {role} ({backend}): exit code {said.code} in {said.seconds:.2f} s "
        f"({said.cpu:.2f} s of CPU), {len(ends)} request, "
        f"{len(late)} to the other after it; then {again.code}",
        said.code == code and said.seconds < SOON and is_one_line(said) and len(ends) == 1 and not late
        and again.code == 0,
    )  # fmt: skip


def with_keys(folder: Path, servers: Mapping[str, Provider], backend: str) -> Path:
    """The run with each model at a server of its own, with a key of its own."""
    models = {"policy": "rambler", "judge": "judge-longer"}
    sections = {
        role: endpoint(servers[role].url, model, backend, api_key_env=f"{role.upper()}_KEY")
        for role, model in models.items()
    }
    return write_run(folder, "", {**sections, "limits": {"in_flight": 4}}, prompts=6)


def silence(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """An endpoint that drips its reply, or says nothing at all: alone, then a few calls among many."""
    limits = {"limits": {"deadline": DEADLINE, "in_flight": IN_FLIGHT}}
    for kind in ("drip", "hang"):
        place, fault = folder / kind, {"kind": kind, "seconds": 60.0}
        with provider(place, faults={"fault": [fault]}) as server:
            few = {**limits, "candidates": {"completions": 1, "rounds": 0}}
            said = solon("run", write_run(place, server.url, few, prompts=1), cwd=place)
            asked = list(calls(server.entries()))
            seconds = time.monotonic() - server.started - asked[0]["at"]
        bars.hold(
            f"a {kind} alone: the process ended {seconds:.2f} s after its one call (exit code {said.code})",
            seconds <= DEADLINE + 1 and len(asked) == 1 and said.code != 0,
        )
    place = folder / "among"
    faults = {"fault": [{"kind": kind, "share": 0.02, "seconds": 60.0} for kind in ("drip", "hang")]}
    with provider(place, faults=faults) as server:
        config = write_run(place, server.url, limits, prompts=30)
        said = solon("run", config, cwd=place)
        entries = list(server.entries())
    begins = {entry["number"]: entry["at"] for entry in calls(entries)}
    took = [end["at"] - begins[end["number"]] for end in calls(entries, "end") if end["fault"]]
    bars.hold(
        f"{len(took)} silent calls among {len(begins)}: the longest took {max(took):.2f} s (exit code {said.code})",
        max(took) <= DEADLINE + 1 and said.code == 0,
    )
    with provider(place / "good") as server:
        write_run(place, server.url, limits, prompts=30)
        again = solon("run", config, cwd=place)
        whole = solon("run", config, "--out", "whole", cwd=place)
        same = exported(place / "whole", place) == exported(place / "runs/proof", place)
    bars.hold("run again without silence, its export is that of a run that met none", again.code == whole.code == 0
              and same)  # fmt: skip


def budget(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """1,000 calls at once against a cap, where some connections break; then the same with a kill amid it all."""
    for name, cap in CAPS:
        for killed in (False, True):
            place = folder / f"{name}-{killed}"
            with provider(place, latency=0.3, faults={"fault": [{"kind": "reset", "share": 0.01}]}) as server:
                config = capped(place, server, {name: cap})
                if killed:
                    kill_amid(config, server, chance.randrange(100, 3000))
                said = solon("run", config, cwd=place)
                server.settle()
                tell_spent(list(server.entries()), name, cap, killed, said, bars)
                again = solon("run", capped(place, server, {name: cap * 10}), cwd=place)
            bars.hold(f"{name}: with a higher cap the run ends with exit code {again.code}", again.code == 0)


def kill_amid(config: Path, server: Provider, requests: int) -> None:
    """Begins the run, and kills it when the server has seen so many requests."""
    process = begin("run", config, cwd=config.parent)
    while sum(1 for _ in calls(server.entries())) < requests and process.poll() is None:
        time.sleep(0.05)
    kill(process)


def tell_spent(entries: list[Table], name: str, cap: float, killed: bool, said: Finished, bars: Bars) -> None:
    spent, most = spent_of(entries)[name], max(entry["in_flight"] for entry in entries)
    bars.hold(
        f"{name}{', killed once' if killed else ''}: {spent:,} of {cap:,} spent by the server's count "
        f"({float(spent) / cap:.0%}), up to {most} calls at once, exit code {said.code}, "
        f"overspend {max(Decimal(0), spent - Decimal(str(cap)))}",
        spent <= Decimal(str(cap)) and said.code == 3 and is_one_line(said),
    )


def capped(folder: Path, server: Provider, cap: Mapping[str, float]) -> Path:
    (folder / "prices.toml").write_text(
        "as_of = 2026-11-01\n"
        + "".join(
            f"\n[model.{model}]\n" + "".join(f"{name} = {dollars}\n" for name, dollars in PRICE.items())
            for model in ("rambler", "judge-longer")
        )
    )
    changes = {"candidates": {"completions": 1}, "limits": {"in_flight": 1000}, "budget": cap}
    return write_run(folder, server.url, changes, prompts=1000)


def spent_of(entries: list[Table]) -> dict[str, Decimal]:
    """What the server charged: tokens as it counts them, and dollars by the made-up prices."""
    used = billed(entries)
    parts = (
        (used["prompt"] - used["cached"], "input"),
        (used["cached"], "cached_input"),
        (used["completion"], "output"),
    )
    dollars = sum((count * Decimal(str(PRICE[name])) for count, name in parts), Decimal(0)) / 1_000_000
    return {"usd": dollars, "tokens": Decimal(used["prompt"] + used["completion"])}
