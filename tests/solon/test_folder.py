import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from constitution.errors import InputError
from solon.cli import actions
from solon.config_file import load_config
from solon.folder import RunFolder, make_folder, open_folder, save_config
from solon.inputs import read_prompts

WriteRun = Callable[..., Path]
NOTHING = {"seed": -1, "candidates": {"rounds": 0}, "pairs": {"min_margin": 0.0}, "export": {"test_share": 0.0}}


def test_the_resolved_config_reads_back_as_the_config_that_it_was_made_from(
    write_run: WriteRun, tmp_path: Path
) -> None:
    config = load_config(write_run({"critic": {"max_tokens": 7}, "judge": {"base_url": "http://x"}, **NOTHING}))
    folder = RunFolder(tmp_path / "out", config, tmp_path)
    folder.path.mkdir()
    save_config(folder)
    assert load_config(folder.config_file) == config
    assert [p.name for p in sorted(folder.path.iterdir())] == ["config.toml", "origin"]


def test_a_run_folder_is_opened_by_itself_or_by_its_run_toml(write_run: WriteRun, tmp_path: Path) -> None:
    config = write_run()
    with contextlib.chdir(tmp_path):
        with pytest.raises(InputError, match=r"no run of .* has begun there: solon run"):
            open_folder(config)
        actions.run(config, None, accept_changes=False, no_budget=False)
        by_config, by_folder = open_folder(config), open_folder(Path("runs/demo"))
        used = by_folder.principles()
    assert by_config.path == by_folder.path
    assert by_config.config == by_folder.config
    assert by_config.beside == by_folder.beside == tmp_path
    assert used.name == "principles"
    assert [p.id for p in used.principles] == ["short", "direct", "plain"]


@pytest.mark.parametrize("origin", [b"caf\xe9", b"a\0b"])
def test_an_origin_that_is_no_path_is_bad_input(origin: bytes, write_run: WriteRun, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out", load_config(write_run()), tmp_path)
    folder.path.mkdir()
    save_config(folder)
    (folder.path / "origin").write_bytes(origin)
    with pytest.raises(InputError, match=r"out/origin: .*: write the folder of the run\.toml into it"):
        open_folder(folder.path)


def test_prompts_come_in_the_order_of_pattern_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, ids in (("b", "34"), ("a", "12"), ("sub/c", "5")):
        lines = "".join(f'{{"prompt": "Number {i}?", "id": "{i}"}}\n' for i in ids)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    found = read_prompts(["sub/*", "*.jsonl"], tmp_path, "run.toml")
    assert [prompt.id for prompt in found] == ["5", "1", "2", "3", "4"]
    assert read_prompts([str(tmp_path / "sub/c.jsonl")], Path("/"), "run.toml") == found[:1]
    assert read_prompts(["a.jsonl", "[a]*"], tmp_path, "run.toml") == read_prompts(["a.jsonl"], tmp_path, "run.toml")
    (tmp_path / "again.jsonl").write_text((tmp_path / "a.jsonl").read_text())
    with pytest.raises(InputError, match=r"again\.jsonl:1: prompt id '1' is also at .*a\.jsonl:1: delete one"):
        read_prompts(["a*.jsonl"], tmp_path, "run.toml")


def test_a_prompt_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"prompt": "caf\xe9"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl: cannot be read .*name a UTF-8 text file"):
        read_prompts(["a.jsonl"], tmp_path, "run.toml")


def test_a_prompt_with_a_lone_surrogate_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "a \\ud800 b"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:1: "):
        read_prompts(["a.jsonl"], tmp_path, "run.toml")


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    make_folder(tmp_path / "new" / "deep")
    make_folder(tmp_path / "new" / "deep")
    with pytest.raises(InputError, match=r"file/sub: cannot be made a folder \(Not a directory\): name another one"):
        make_folder(tmp_path / "file" / "sub")
