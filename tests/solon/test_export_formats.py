"""A run is handed over in every format: whole, named by a lock, measured by the tokenizer, and read by TRL."""

import hashlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from constitution.errors import InputError
from solon.cli import actions
from solon.cli.telling import Told
from trainer.formats.choosing import FORMATS

WriteRun = Callable[..., Path]
Make = Callable[..., Path]
NEEDED = ("torch", "transformers", "trl", "datasets")
MISSING = [name for name in NEEDED if find_spec(name) is None]
needs_trl = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ALL = {"pairs": {"policy": "all", "min_margin": 0.0}}


@pytest.fixture
def run(write_run: WriteRun, tmp_path: Path) -> Make:
    """Carries a run out under the changes; returns its folder."""

    def make(changes: dict[str, Any] | None = None, **files: Any) -> Path:
        actions.run(write_run({**ALL, **(changes or {})}, **files), tmp_path / "run", True, no_budget=False)
        return tmp_path / "run"

    return make


def export(folder: Path, format: str, out: Path | None = None) -> Told:
    return actions.export(folder, format, None, out)


def lock_of(folder: Path) -> Any:
    return json.loads((folder / "lock.json").read_text(encoding="utf-8"))


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_a_folder_of_its_own_with_a_lock_over_all_of_it(run: Make, format: str) -> None:
    folder = run()
    told = export(folder, format)
    out = folder / ("export" if format == "trl" else f"export-{format}")
    assert told.data["folder"] == str(out)
    lock, others = lock_of(out), [path for path in out.iterdir() if path.name != "lock.json"]
    assert lock["files_sha256"] == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in others}
    assert lock["format"] == told.data["format"] == format
    assert lock["rows"] == {"train": told.data["train"], "test": told.data["test"]}
    assert told.data["train"] > 0
    assert lock["gate"] is None
    assert ("take" in lock) == (format in ("sft", "openrlhf", "llamafactory", "axolotl"))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    export(folder, format)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("format", FORMATS)
def test_no_prompt_stands_on_both_sides_and_every_id_is_the_runs(run: Make, format: str) -> None:
    folder = run(prompts=16)
    export(folder, "trl")
    sides = {side: parquet.read_table(folder / "export" / f"{side}.parquet").to_pylist() for side in ("train", "test")}
    wanted = {side: {row["prompt_id"] for row in rows} for side, rows in sides.items()}
    export(folder, format)
    for file in (folder / ("export" if format == "trl" else f"export-{format}")).iterdir():
        side = "test" if "test" in file.name else "train"
        if file.suffix == ".parquet" and file.name != "rankings.parquet":
            found = {row["prompt_id"] for row in parquet.read_table(file).to_pylist()}
        elif file.suffix == ".jsonl":
            found = {row["prompt_id"] for row in lines(file)}
        elif format == "icai" and file.stem in ("train", "test"):
            rows = json.loads(file.read_text(encoding="utf-8"))["comparisons"]
            found = {row["metadata"]["prompt_id"] for row in rows}
        else:
            continue
        assert found
        assert found <= wanted[side]


def test_a_test_half_that_is_empty_is_no_file_and_one_that_was_there_goes(run: Make, write_run: WriteRun) -> None:
    folder = run()
    export(folder, "axolotl")
    assert "test_datasets" in (folder / "export-axolotl" / "dpo.yaml").read_text(encoding="utf-8")
    run({"export": {"test_share": 0.0}})
    export(folder, "axolotl")
    names = {path.name for path in (folder / "export-axolotl").iterdir()}
    assert names == {
        "pairs-train.jsonl", "sft-train.jsonl", "dpo.yaml", "sft.yaml", "principles.toml", "lock.json"
    }  # fmt: skip
    assert "test" not in (folder / "export-axolotl" / "dpo.yaml").read_text(encoding="utf-8")


def test_an_export_of_another_format_is_left_alone(run: Make, tmp_path: Path) -> None:
    folder = run()
    export(folder, "kto", tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(InputError, match="holds an export in the format kto: name a new folder"):
        export(folder, "sft", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_completions_to_imitate_are_the_revisions_that_were_chosen_unless_all_are_asked_for(run: Make) -> None:
    folder = run({"export": {"test_share": 0.0}})
    export(folder, "sft")
    revisions = parquet.read_table(folder / "export-sft" / "train.parquet").to_pylist()
    assert all(row["revised"] for row in revisions)
    run({"export": {"test_share": 0.0}, "sft": {"take": "chosen"}})
    export(folder, "sft")
    chosen = parquet.read_table(folder / "export-sft" / "train.parquet").to_pylist()
    assert {row["completion_id"] for row in revisions} < {row["completion_id"] for row in chosen}


def test_a_run_that_revised_nothing_says_how_to_imitate_what_was_chosen(run: Make) -> None:
    folder = run({"candidates": {"rounds": 0}})
    with pytest.raises(InputError, match='no revision was chosen in it: set take = "chosen" under'):
        export(folder, "sft")
    assert not (folder / "export-sft").exists()
    export(folder, "openrlhf")
    assert not list((folder / "export-openrlhf").glob("sft-*"))


def test_without_a_tokenizer_on_this_machine_a_line_says_so(run: Make, tmp_path: Path) -> None:
    told = export(run(), "trl")
    assert "no tokenizer measured them (the policy's weights are not here): name one as tokenizer under" in told.text
    assert told.data["gate"] is None
    assert "measured" not in export(tmp_path / "run", "icai").text  # texts are read as they are


@needs_trl
def test_what_the_tokenizer_finds_too_long_is_left_out_and_counted(
    run: Make, byte_tokenizer: Callable[[str], Any], tmp_path: Path
) -> None:
    byte_tokenizer(TEMPLATE).save_pretrained(tmp_path / "bytes")
    folder = run({"export": {"test_share": 0.0}})
    export(folder, "trl")
    pairs = parquet.read_table(folder / "export" / "train.parquet").to_pylist()
    texts = [(row["prompt"][0], row["chosen"][0], row["rejected"][0]) for row in pairs]
    lengths = [
        max(len(f"XuserX\nX{p['content']}assistantX\nX{one['content']}") + 1 for one in two) for p, *two in texts
    ]
    longest = sorted(lengths)[len(lengths) // 2]
    gate = {"tokenizer": "bytes", "max_length": longest + 1}

    run({"export": {"test_share": 0.0, **gate}})
    told = export(folder, "trl")
    lock = lock_of(folder / "export")
    assert 0 < told.data["train"] < len(pairs)
    assert told.data["dropped"] == lock["dropped"] == {"pairs": {"too long": len(pairs) - told.data["train"]}}
    assert told.data["gate"].items() >= gate.items()
    assert lock["gate"] == told.data["gate"]
    assert "/" not in json.dumps(lock)
    assert f"left out: pairs: {len(pairs) - told.data['train']} too long" in told.text
    assert f"measured by the tokenizer of bytes: none is longer than {longest + 1} tokens" in told.text
    export(folder, "kto")
    dropped = lock_of(folder / "export-kto")["dropped"]["marked"]
    assert dropped["too long"] < len(pairs) - told.data["train"]  # each completion by itself

    run({"export": {"tokenizer": "bytes", "max_length": 40}})
    with pytest.raises(InputError, match=r"nothing is left to export .*pairs: .*raise max_length"):
        export(folder, "trl")
    assert lock_of(folder / "export") == lock
    run({"export": {"tokenizer": "absent"}})
    with pytest.raises(InputError, match="no such model"):
        export(folder, "trl")


@pytest.mark.real
@needs_trl
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("format", ["trl", "reward", "sft", "kto"])
def test_trls_own_trainers_read_what_is_written_for_them(
    run: Make, byte_tokenizer: Callable[[str], Any], tmp_path: Path, format: str
) -> None:
    import transformers
    import trl
    from datasets import load_dataset

    names = {"trl": "DPO", "reward": "Reward", "sft": "SFT", "kto": "KTO"}
    library: Any = trl
    config, trainer = (getattr(library, f"{names[format]}{kind}") for kind in ("Config", "Trainer"))
    byte_tokenizer(TEMPLATE).save_pretrained(tmp_path / "bytes")
    folder = run({"export": {"tokenizer": "bytes", "max_length": 2048}}, prompts=[{"messages": [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Why is {n} a number?"}]}
        for n in range(8)])  # fmt: skip
    out = Path(export(folder, format).data["folder"])

    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "bytes")
    shape = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        pad_token_id=2, eos_token_id=1, num_labels=1,
    )  # fmt: skip
    kind = transformers.LlamaForSequenceClassification if format == "reward" else transformers.LlamaForCausalLM
    kind(shape).save_pretrained(tmp_path / "model")
    arguments = config(
        str(tmp_path / "out"), max_length=2048, max_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True,
        disable_tqdm=True, save_strategy="no", bf16=False,
    )  # fmt: skip
    data = load_dataset("parquet", data_files=str(out / "train.parquet"), split="train", cache_dir=str(tmp_path / "c"))
    trained = trainer(
        kind.from_pretrained(tmp_path / "model"), args=arguments, train_dataset=data, processing_class=tokenizer
    )
    gate, row = lock_of(out)["gate"], data[0]
    assert gate["tokenizer"] == "bytes"
    assert len(trained.train_dataset) == len(data)
    if format in ("trl", "reward"):  # as long as the gate measured it
        seen = trained.train_dataset[0]
        whole = "XsystemX\nX\nXuserX\n\nassistantX\n" + "".join(m["content"] for m in (*row["prompt"], *row["chosen"]))
        ids = [*seen.get("prompt_ids", []), *seen["chosen_ids"]]
        assert len(ids) == len(tokenizer.apply_chat_template(row["prompt"] + row["chosen"], tokenize=True)["input_ids"])
        assert len(whole) < len(ids) + 20
    assert trained.train().training_loss > 0
