"""A model goes by all that decides what it reads and says, and by nothing else."""

from pathlib import Path

import pytest

from trainer.ancestry import weights_hash

FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_another_file_of_the_weights_or_the_tokenizer_is_another_model(model: Path, name: str) -> None:
    before = weights_hash(model)
    (model / name).write_text("another")
    assert weights_hash(model) != before
    (model / name).write_text(name)
    assert weights_hash(model) == before
    (model / name).unlink()
    assert weights_hash(model) != before


def test_where_a_model_lies_and_what_is_told_of_it_make_no_difference(model: Path, tmp_path: Path) -> None:
    before = weights_hash(model)
    for name in ("training.json", "README.md"):
        (model / name).write_text("{}")
    assert weights_hash(model.rename(tmp_path / "carried")) == before


def test_a_file_of_weights_goes_by_its_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    one.write_bytes(b"GGUF")
    other.write_bytes(b"GGUF")
    assert weights_hash(one) == weights_hash(other)
    other.write_bytes(b"GGUF and more")
    assert weights_hash(one) != weights_hash(other)
