from pathlib import Path

import pytest

from constitution.checks import MaxWords
from constitution.errors import InputError
from constitution.files import find, load, parse_constitution, principle_lines, shipped_names
from constitution.principle import Constitution, Example, Principle

HEAD = '[constitution]\ntitle = "T"\n'  # lines 1 and 2
SHORT = '[[principle]]\nid = "short"\nrule = "Be short."\n'
LONG = '''[[principle]]
id = "long"
rule = """
Be long.
weight = 3

[[principle]]
"""
'''


def parse(text: str) -> Constitution:
    return parse_constitution(text, name="n", place="f.toml")


def test_everything_a_file_says_is_in_the_constitution() -> None:
    assert parse("""
        [constitution]
        title = "T"
        version = "2"
        description = "D"
        [[principle]]
        id = "short"
        rule = "Be short."
        critique = "C"
        revision = "R"
        preference = "P"
        weight = 2
        priority = 1
        hard = true
        tags = ["a", "b"]
        applies_to = ["x"]
        rationale = "W"
        check = { name = "max_words", words = 9 }
        [[principle.examples]]
        prompt = "p"
        better = "b"
        worse = "w"
    """) == Constitution(
        "n", "T", "2", "D",
        (Principle(
            "short", "Be short.", "C", "R", "P", 2.0, 1, True, ("a", "b"), ("x",), "W",
            MaxWords("max_words", 9), (Example("p", "b", "w"),),
        ),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "f.toml:1: missing key 'constitution': add it", id="empty file"),
        pytest.param(HEAD, "f.toml: has no principle: add a [[principle]]", id="no principle"),
        pytest.param(HEAD + SHORT + "weight\n", "f.toml:6: this is not TOML: *(column 7)*", id="not TOML"),
        pytest.param(HEAD + 'a = """\n\n', "f.toml:5: this is not TOML: *(at end of document)*", id="open end"),
        pytest.param(
            HEAD + SHORT + "wieght = 2\n", "f.toml:6: unknown key *wieght': did you mean 'weight'?", id="typo"
        ),
        pytest.param(HEAD + SHORT + "zzz = 2\n", "f.toml:6: unknown key *zzz': remove it", id="unknown"),
        pytest.param(
            HEAD + LONG + "\n# comment\nwieght = 2\n",
            "f.toml:13: unknown key *wieght'*",
            id="after a multi-line string",
        ),
        pytest.param(
            HEAD + SHORT + 'rationale = "a\u2028b"\nwieght = 2\n',
            "f.toml:7: unknown key *",
            id="after a line separator",
        ),
        pytest.param(
            (HEAD + SHORT).replace("\n", "\r\n") + "wieght = 2\r\n", "f.toml:6: unknown key *", id="Windows line ends"
        ),
        pytest.param(
            '[constitution]\ntitle = "T"\n[[principel]]\nid = "a"\n',
            "f.toml:3: unknown key 'principel': did you mean*",
            id="table typo",
        ),
        pytest.param(HEAD + '\n[[principle]]\nid = "a"\n', "f.toml:4: missing key 'principle.0.rule'*", id="no rule"),
        pytest.param(HEAD + SHORT + LONG + SHORT, "f.toml:15: principle id 'short' is used twice*", id="id twice"),
        pytest.param(
            HEAD + SHORT + 'check = { name = "max_wrds" }\n',
            "f.toml:6: *max_wrds*expected tags: 'max_words'*",
            id="unknown check",
        ),
        pytest.param(
            HEAD + SHORT + 'check = { name = "max_words" }\n', "f.toml:6: missing key *words*", id="check without words"
        ),
        pytest.param(
            HEAD + SHORT + 'check = { name = "max_words", words = 0 }\n',
            "f.toml:6: *greater than or equal to 1, got 0",
            id="check of no words",
        ),
        pytest.param(
            HEAD + SHORT + 'check = { name = "no_lists", words = 1 }\n',
            "f.toml:6: unknown key *words'*",
            id="check with a key too many",
        ),
        pytest.param(HEAD + SHORT + 'weight = "2"\n', 'f.toml:6: *weight\'*valid number, got "2"', id="number as text"),
        pytest.param(HEAD + SHORT + "hard = 1\n", "f.toml:6: *hard'*valid boolean, got 1", id="number as truth"),
        pytest.param(HEAD + SHORT + 'tags = "a"\n', "f.toml:6: *tags'*valid array*", id="text as list"),
        pytest.param(HEAD + SHORT + "priority = 1.5\n", "f.toml:6: *priority'*valid integer*", id="fraction"),
        pytest.param(HEAD + SHORT + "weight = 0\n", "f.toml:6: *has weight 0.0: give a number above 0", id="weight 0"),
        pytest.param(HEAD + SHORT + "weight = -1\n", "f.toml:6: *has weight -1.0*", id="weight below 0"),
        pytest.param(HEAD + SHORT + "weight = inf\n", "f.toml:6: *has weight inf*", id="weight infinite"),
        pytest.param(HEAD + SHORT + "weight = nan\n", "f.toml:6: *has weight nan*", id="weight not a number"),
        pytest.param(HEAD + '[[principle]]\nid = " "\nrule = "r"\n', "f.toml:4: *empty id*", id="empty id"),
        pytest.param(
            HEAD + '[[principle]]\nid = "a"\nrule = ""\n', "f.toml:5: *'a' has an empty rule*", id="empty rule"
        ),
        pytest.param(
            HEAD + SHORT + '[[principle.examples]]\nprompt = "p"\nbetter = "b"\n',
            "f.toml:6: missing key *examples.0.worse'*",
            id="half an example",
        ),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_to_do(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    told, parts = str(caught.value), message.split("*")
    assert told.startswith(parts[0])
    for part in parts:
        assert part in told


def test_a_file_is_loaded_under_its_stem(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + SHORT, encoding="utf-8")
    assert load(tmp_path / "mine.toml").name == "mine"


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'[constitution]\ntitle = "\xe9"\n')
    for path in (tmp_path / "latin.toml", tmp_path / "missing.toml", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load(path)


def test_a_constitution_is_found_by_its_shipped_name_or_by_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + SHORT, encoding="utf-8")
    assert find("mine.toml", tmp_path) == tmp_path / "mine.toml"
    assert find(str(tmp_path / "mine.toml"), Path("elsewhere")) == tmp_path / "mine.toml"
    assert load(find("harmless", tmp_path)).name == "harmless"


def test_a_shipped_name_does_not_lead_out_of_the_shipped_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such principle file"):
        find("../principles/harmless", tmp_path)


def test_a_name_that_is_nowhere_is_told_with_the_shipped_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="harmless") as caught:
        find("harmles", tmp_path)
    assert all(name in str(caught.value) for name in shipped_names())


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        (HEAD + LONG + "\n# comment\n" + SHORT, (3, 13)),
        (
            HEAD + SHORT + "\n[[ 'principle' ]] # [[principle]]\nid = 'b'\n[[principle.examples]]\nprompt = 'p'\n",
            (3, 7),
        ),
        (HEAD + SHORT + '[["princi\\u0070le"]]\nid = "b"\n', (3, 6)),
        ("principle = [\n" + '{id = "a", rule = "r"},\n' * 5000 + "]\n" + HEAD, (1,) * 5000),
        ('title = "T"\n\nprinciple = [{id = "a"}]\n', (3,)),
    ],
)
def test_it_is_known_where_each_principle_begins(text: str, begins: tuple[int, ...]) -> None:
    assert principle_lines(text, len(begins)) == begins
