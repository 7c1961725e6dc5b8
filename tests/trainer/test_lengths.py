"""The gate counts with the model's own tokenizer and template, as TRL does, and names what it leaves out."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.chat import Message
from trainer.pairs.lengths import EMPTY, IDENTICAL, NO_TEMPLATE, TOO_LONG, Gate, open_gate

MISSING = [name for name in ("torch", "transformers") if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROMPT = (Message("user", "Why?"),)
FRAME = len("Xuser\nWhy?X\nXassistant\nX\n")  # tokens of a conversation with nothing said: X is a mark


@pytest.fixture
def tokenizer(byte_tokenizer: Callable[[str], Any]) -> Any:
    return byte_tokenizer(TEMPLATE)


def gate(tokenizer: Any, room: int) -> Gate:
    """One that leaves room for a completion of so many bytes."""
    return Gate(tokenizer, "bytes", FRAME + room)


def test_a_completion_that_just_fits_passes_and_one_byte_more_is_too_long(tokenizer: Any) -> None:
    found = gate(tokenizer, 5)
    assert found.fault(PROMPT, ["12345", "1234"]) == ""
    assert found.fault(PROMPT, ["123456", "1234"]) == TOO_LONG
    assert found.fault(PROMPT, ["1234", "größer"]) == TOO_LONG  # eight bytes
    assert found.fault(PROMPT, ["12345"]) == ""


def test_a_prompt_that_leaves_no_room_is_too_long_or_makes_its_completions_the_same(tokenizer: Any) -> None:
    long = (Message("user", "Why? " * 10),)
    assert gate(tokenizer, 5).fault(long, ["1234"]) == TOO_LONG
    assert gate(tokenizer, 5).fault(long, ["1234", "5678"]) == IDENTICAL


def test_completions_that_differ_only_where_training_does_not_look_are_identical(tokenizer: Any) -> None:
    found = gate(tokenizer, 5)
    assert found.fault(PROMPT, ["123456789", "12345678-"]) == IDENTICAL
    assert found.fault(PROMPT, ["123456789", "-23456789"]) == TOO_LONG
    assert found.fault(PROMPT, ["1234", " 1234 "]) == IDENTICAL  # the template trims


def test_a_completion_of_which_the_template_leaves_nothing_is_empty(tokenizer: Any) -> None:
    assert gate(tokenizer, 5).fault(PROMPT, ["1234", " \n"]) == EMPTY
    assert gate(tokenizer, 5).fault(PROMPT, ["\n"]) == EMPTY


def test_a_conversation_that_the_template_refuses_is_told_and_is_no_crash(tokenizer: Any) -> None:
    assert gate(tokenizer, 99).fault((Message("system", "Be kind."), *PROMPT), ["1234", "5678"]) == NO_TEMPLATE


def test_nothing_is_measured_twice(tokenizer: Any) -> None:
    found, asked = gate(tokenizer, 9), []
    plain = tokenizer.apply_chat_template
    tokenizer.apply_chat_template = lambda turns, **more: asked.append(turns) or plain(turns, **more)
    for pair in (["a", "b"], ["a", "c"], ["b", "c"]):
        assert found.fault(PROMPT, pair) == ""
    assert len(asked) == 4  # three completions, and none at all


def test_a_tokenizer_is_read_from_a_folder_and_named_by_what_decides_the_tokens(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "mine")
    found = open_gate(tmp_path / "mine", 100)
    assert (found.name, found.max_length) == ("mine", 100)
    assert found.fault(PROMPT, ["1234", "5678"]) == ""
    assert found.sha256 == open_gate(tmp_path / "mine", 9).sha256
    tokenizer.chat_template = TEMPLATE.replace(" | trim", "")
    tokenizer.save_pretrained(tmp_path / "other")
    assert open_gate(tmp_path / "other", 100).sha256 != found.sha256


def test_what_is_no_tokenizer_of_a_chat_model_is_refused_in_one_line(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        open_gate(tmp_path / "absent", 9)
    (tmp_path / "file.gguf").write_bytes(b"GGUF")
    for place in (tmp_path, tmp_path / "file.gguf"):
        with pytest.raises(InputError, match="not a model that can be loaded") as caught:
            open_gate(place, 9)
        assert "\n" not in str(caught.value)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path / "base")
    with pytest.raises(InputError, match="has no chat template"):
        open_gate(tmp_path / "base", 9)
