"""A whole run on vLLM, once in process and once through a server that Solon starts.

    python benchmarks/vllm/pipeline.py MODEL_FOLDER

Each is run twice: the second time must send nothing.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMPTS = 16
CONFIG = """
name = "{name}"
constitution = "helpful-honest"

[prompts]
files = ["prompts.jsonl"]

[policy]
backend = "vllm"
model = "{model}"
serve = {serve}
temperature = 0.8
max_tokens = 64

[judge]
backend = "vllm"
model = "{model}"
allow_same_family = true
serve = {serve}

[pairs]
policy = "all"
min_margin = 0.0
"""


def solon_run(config: Path) -> dict[str, object]:
    command = [sys.executable, "-c", "from solon.cli import main; main()", "run", str(config), "--json"]
    done = subprocess.run(command, cwd=config.parent, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, object] = json.loads(done.stdout)
    return told


def prove(name: str, serve: bool, model: str, folder: Path) -> None:
    config = folder / f"{name}.toml"
    config.write_text(CONFIG.format(name=name, serve=str(serve).lower(), model=model), encoding="utf-8")
    start = time.perf_counter()
    told = solon_run(config)
    seconds = time.perf_counter() - start
    assert told["rows"] == PROMPTS, told
    assert told["pairs"], told
    assert told["no_verdicts"] == {}, told
    again = solon_run(config)
    assert again["calls_sent"] == 0, again
    shown = {key: told[key] for key in ("rows", "pairs", "drops", "calls_sent", "calls_reused", "tokens")}
    print(f"{name}: {seconds:.0f} s from start to end, {json.dumps(shown)}", flush=True)


def main() -> None:
    model = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        lines = (ROOT / "examples/prompts/everyday.jsonl").read_text(encoding="utf-8").splitlines()[:PROMPTS]
        (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        prove("in-process", False, model, folder)
        prove("served", True, model, folder)


if __name__ == "__main__":
    main()
