"""Every trainer on SmolLM2: does it move the rules it was trained for on prompts that it never saw, and how far off?

    python benchmarks/train/prove.py [--out FOLDER] [--methods sft,dpo,reward,ppo,grpo]

The commands are those that a user types. What is done already in the folder is not done again. Exits with 1
where a bar is missed. About 50 minutes on two cores.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RUN_TOML = HERE / "run.toml"
MOVED = "all checked rules"
KL = "KL from base"
MOST_KL = 100.0  # nats per completion, as [guards] has it
POLICIES = ("sft", "dpo", "ppo", "grpo")
METHODS = ("sft", "dpo", "reward", "ppo", "grpo")  # in this order: PPO takes the reward model


@dataclass(frozen=True, slots=True)
class Line:
    """What one policy came to on the held-out prompts; shares lie in [0, 1], KL is in nats per completion."""

    method: str
    base: float
    trained: float
    low: float  # 95 % interval of trained - base
    high: float
    kl: float
    win_rate: float
    seconds: float
    tokens_per_second: float
    tripped: tuple[str, ...]

    @property
    def missed(self) -> list[str]:
        bars = {f"{MOVED}: interval above zero": self.low > 0, f"KL at most {MOST_KL:.0f}": self.kl <= MOST_KL}
        return [f"{self.method}: {bar}" for bar, kept in bars.items() if not kept]


def solon(*arguments: str, expected: Sequence[int] = (0,)) -> Any:
    """What ``solon … --json`` printed; its progress goes to this terminal."""
    command = [sys.executable, "-m", "solon", *arguments, "--json"]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(f"solon {' '.join(arguments)}: exit {done.returncode}, {time.monotonic() - started:.0f} s", flush=True)
    if done.returncode not in expected:
        sys.exit(f"solon {' '.join(arguments)} exited with {done.returncode}")
    return json.loads(done.stdout)


def line_of(method: str, record: dict[str, Any], evaluated: dict[str, Any]) -> Line:
    measures = {measure["name"]: measure for measure in evaluated["measures"]}
    moved = measures[MOVED]
    return Line(
        method, moved["base"], moved["trained"], moved["low"], moved["high"], measures[KL]["trained"],
        measures["win rate"]["trained"], record["seconds"], record["tokens"] / record["seconds"],
        tuple(evaluated["tripped"]),
    )  # fmt: skip


def prove(run: str, methods: Sequence[str]) -> list[Line]:
    """Trains by each of ``methods`` and evaluates what is a policy; a tripped guard is told, and no end."""
    lines = []
    for method in methods:
        record = solon("train", method, run)
        if method in POLICIES:
            lines.append(line_of(method, record, solon("evaluate", run, "--policy", record["model"], expected=(0, 1))))
        else:
            print(f"  held out: {json.dumps(record['figures'])}", flush=True)
    return lines


def told(line: Line) -> str:
    kept = f"{MOVED} {line.base:.0%} to {line.trained:.0%} [{line.low:+.0%}, {line.high:+.0%}]"
    speed = f"{line.seconds:.0f} s, {line.tokens_per_second:.0f} tokens a second"
    guards = f"; guards tripped: {', '.join(line.tripped)}" if line.tripped else ""
    return f"{line.method}: {kept}, KL {line.kl:.1f}, win rate {line.win_rate:.0%}; {speed}{guards}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-train"))
    parser.add_argument("--methods", default=",".join(METHODS))
    asked = parser.parse_args()
    started = time.monotonic()
    solon("run", str(RUN_TOML), "--out", str(asked.out))
    solon("export", str(asked.out))
    lines = prove(str(asked.out), asked.methods.split(","))
    (asked.out / "bench.json").write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    print("\n".join(map(told, lines)))
    print(f"{time.monotonic() - started:.0f} s; plots: {asked.out}/evaluations/*.html")
    if missed := [bar for line in lines for bar in line.missed]:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
