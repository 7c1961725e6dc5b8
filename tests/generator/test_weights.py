from pathlib import Path

import pytest

from constitution.errors import InputError
from generator.models.weights import folder_identity

MODEL = {
    "model-00001-of-00002.safetensors": "one",
    "model-00002-of-00002.safetensors": "two",
    "model.safetensors.index.json": "{}",
    "config.json": "{}",
    "tokenizer.json": "{}",
    "chat_template.jinja": "{{ messages }}",
}


def model(folder: Path, **changed: str) -> Path:
    folder.mkdir()
    for name, text in (MODEL | changed).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_same_model_is_the_same_wherever_it_lies_and_whatever_lies_beside_it(tmp_path: Path) -> None:
    here, there = model(tmp_path / "here"), model(tmp_path / "there")
    for name in ("README.md", "training.json", "training_args.bin", "optimizer.pt"):
        (there / name).write_text("a note", encoding="utf-8")
    (there / "checkpoint-1").mkdir()
    assert folder_identity(here) == folder_identity(there)
    assert folder_identity(here).startswith("folder:")


@pytest.mark.parametrize("name", sorted(MODEL))
def test_every_file_that_decides_what_it_says_makes_it_another(name: str, tmp_path: Path) -> None:
    plain, changed = model(tmp_path / "plain"), model(tmp_path / "changed", **{name: "other"})
    assert folder_identity(plain) != folder_identity(changed)
    (changed / name).unlink()
    assert folder_identity(plain) != folder_identity(changed)


def test_contents_that_have_changed_places_make_another(tmp_path: Path) -> None:
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    swapped = model(tmp_path / "swapped", **{first: "two", second: "one"})
    assert folder_identity(model(tmp_path / "plain")) != folder_identity(swapped)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_weights_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="holds no weights: name a model folder"):
        folder_identity(tmp_path / name)
