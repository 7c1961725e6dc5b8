import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.errors import InputError
from generator.chat import Message
from generator.prompts import Prompt, parse_prompts


def parse(*lines: str) -> list[Prompt]:
    return [prompt for _, prompt in parse_prompts(lines, "p.jsonl")]


def test_a_line_holds_a_text_or_a_conversation() -> None:
    text, turns = parse(
        '{"id": "a", "prompt": "Hi", "tags": ["x"], "source": "s"}',
        '{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]}',
    )
    assert text == Prompt("a", (Message("user", "Hi"),), ("x",), "s")
    assert turns.messages == (Message("system", "S"), Message("user", "U"))
    assert turns.text == "U"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"prompt": "a"', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "should be an object"),
        ('{"promt": "a"}', "unknown key 'promt': did you mean 'prompt'?"),
        ('{"messages": [{"role": "user", "content": "a", "name": "b"}]}', "unknown key 'messages.0.name'"),
        ('{"prompt": "a", "messages": [{"role": "user", "content": "b"}]}', "needs 'prompt' or 'messages'"),
        ('{"tags": ["a"]}', "needs 'prompt' or 'messages'"),
        ('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}', "not the user's"),
        ('{"messages": [{"role": "user", "content": " \\n"}]}', "or is empty"),
        ('{"messages": [{"role": "robot", "content": "a"}]}', "messages.0.role"),
        ('{"messages": []}', "at least 1 item"),
        ('{"prompt": ""}', "at least 1 character"),
        ('{"prompt": "  "}', "or is empty"),
        ('{"prompt": 1}', "valid string, got 1"),
        ('{"prompt": "a", "id": ""}', "'id' cannot be read"),
        ('{"prompt": "a", "tags": "b"}', "'tags' cannot be read"),
        ('{"prompt": "\\ud800"}', "cannot be read"),
    ],
)
def test_a_faulty_line_is_told_with_its_number(line: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse('{"prompt": "fine"}', "", line)
    assert str(caught.value).startswith("p.jsonl:3: ")
    assert told in str(caught.value)


def test_lines_before_a_faulty_one_are_read() -> None:
    prompts = parse_prompts(['{"prompt": "a"}', "{"], "p.jsonl")
    where, prompt = next(prompts)
    assert (where, prompt.text) == ("p.jsonl:1", "a")


def test_a_prompt_without_an_id_is_named_by_its_messages_alone() -> None:
    bare, tagged, other, spoken = parse(
        '{"prompt": "a"}',
        '{"prompt": "a", "tags": ["t"], "source": "s"}',
        '{"prompt": "b"}',
        '{"messages": [{"role": "user", "content": "a"}]}',
    )
    assert bare.id == tagged.id == spoken.id != other.id


def test_who_spoke_counts_in_a_prompts_name() -> None:
    line = '{"messages": [{"role": "%s", "content": "a"}, {"role": "user", "content": "b"}]}'
    assert len({prompt.id for prompt in parse(*(line % role for role in ("system", "user", "assistant")))}) == 3


@given(st.text())
def test_any_text_is_read_or_told_never_a_crash(line: str) -> None:
    with contextlib.suppress(InputError):
        parse(line)
