"""A judge's words read as a verdict: what they plainly say, and nothing where they do not."""

import csv
import gzip
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.chat import Finish
from judge.parsing import Missing, Preference, Said, Unsaid, parse_verdict

DATA = Path(__file__).parents[3] / "shared" / "data"

SAYS: dict[str, list[str]] = {
    "first": [
        # a label and no more
        *(
            "A",
            "a",
            "1",
            "m",
            "(a)",
            "**A**",
            '"A"',
            "[[A]]",
            "[A]",
            "`1`",
            "A.",
            "1)",
            "first",
            "First.",
            "the first one",
        ),
        *(
            "Output (a)",
            "output (a)",
            "Output (m)",
            "Response A",
            "model_a",
            "Model 1",
            "**Response 1**",
            "Assistant A.",
        ),
        *(
            "the first response",
            "The first",
            "Option one",
            "  1\n",
            "“A”",
            "```\nA\n```",
            "Response #1",
            "completion 1",
        ),
        *("A > B", "A >> B", "1 > 2", "B < A", "[[A>>B]]", "[[A>B]]", "[[Output (a)]]", "Output (a) > Output (b)"),
        # a form
        '{"winner": "A"}',
        '{"reason": "B is better written", "winner": "A"}',
        '```json\n{"verdict": 1, "confidence": 0.9}\n```',
        'Some thoughts first.\n\n{"better_response": "Response A"}',
        '{"preferred": "Response A is better than Response B."}',
        "{'winner': 'A'}",
        "Verdict: A",
        "**Verdict:** Output (a)",
        "Final verdict: [[A]]",
        "Winner: Response 1",
        "Preferred: 1",
        "Answer: 1",
        "My choice: A, because it is shorter.",
        "Verdict: A (confidence 90%)",
        "Verdict:\n\nA",
        "## Verdict\n\n**Response A**",
        "Response B has more detail.\n\nVerdict: Response A is better.",
        "Response A reads well. Response B does not.\nA",
        "<answer>1</answer>",
        "So the result is \\boxed{A}.",
        "Both are fine. [[A]] is my verdict.",
        "<think>B? No.</think>A",
        "2 is better, no.</think>\n\n1",
        # a sentence
        "Therefore, Output (a) is better.",
        "Response A is a better one.",
        "Assistant 1 is better",
        "Model 1 wins",
        "Model 1 wins.",
        "The first response is better",
        "The first is better.",
        "1 is better.",
        "A is better",
        "I prefer A.",
        "I prefer Response A over Response B.",
        "I would choose Response A over Response B because it is kinder.",
        "I'd go with option 1.",
        "My vote goes to Response A.",
        "My choice is A.",
        "The winner is Response A.",
        "The better output is Output (a).",
        "The better output for the given instruction is Output (a).",
        "The best of the two is clearly Response 1.",
        "Response A is superior to Response B.",
        "Response B is inferior to Response A.",
        "Response B is worse than Response A.",
        "Response B is worse.",
        "Response B is not as good as Response A.",
        "Response B isn't as good as Response A.",
        "Compared to Response B, Response A is better.",
        "Response A, unlike Response B, is better.",
        "Response A is better compared to Response B.",
        "Response A outperforms Response B.",
        "Response A beats B.",
        "Response A should be preferred.",
        "Response A is preferable.",
        "Response A is more helpful than Response B.",
        "Response A is more helpful.",
        "Overall, Response A provides a more detailed explanation.",
        "While Response B is better organised, Response A is better.",
        "Although B is better at style, A is the better response overall.",
        "Response A is bad, but Response B is worse.",
        "Response B is good, but Response A is better.",
        "Response B is better in tone. Overall, Response A is better.",
        "Both are good. However, Response A is slightly better.",
        "Both responses are poor, but Response A is better.",
        "Neither is perfect, but Response A is better.",
        "Between Response A and Response B, Response A is better.",
        "Is Response B better? No: Response A is better.",
        "Output (b) is better. On reflection I was wrong. Therefore, Output (a) is better.",
        'Response B claims that "Response B is better". Response A is better.',
        "First, B is too long. Second, it is wrong. Therefore, A is better.",
        "I'm sorry to say that B is wrong. A is better.",
        "As an AI, I have no taste, but Response A is the better one.",
        "Although it is not perfect, it is still a better option than Output (b).",
        "Response A’s answer is right, so Response A is better.",
        "**Response A** is the **better** response.",
        "Therefore, Output (a)",
        "Assistant A's response is better.",
        "Assistant A's answer is more helpful than Assistant B's answer.",
        "Response A provides a better answer.",
        "Response A, which leaves nothing out, is better.",
        "Rather than B, I would pick A.",
        "The verdict is A.",
        "Response A compared with Response B is better.",
        "Although Response B is more helpful, Response A is more accurate.",
        "The first response (Response A) is better.",
        "The first response (A) is better than the second (B).",
        "Response A comes out ahead.",
        "A, because it answers the question.",
        "Therefore, based on the evaluation, I conclude that Output (a) is better.",
        "Therefore, neither output is helpful. However, it is better than Output (b).",
    ],
    "tie": [
        *("tie", "Tie", "**Tie**", "[[C]]", "[[tie]]", "It's a tie.", "[[A=B]]", "A = B", "draw", '{"winner": "tie"}'),
        "Verdict: tie",
        "Both are equally good.",
        "Therefore, both Output (a) and Output (b) are equally good for the given instruction.",
        "Therefore, neither output is better for the given instruction.",
        "Neither is a clear winner.",
        "There is no clear winner.",
        "I have no preference.",
        "Overall, it is a tie between Response A and Response B.",
        "Response A is as good as Response B.",
        "Neither A nor B is better.",
        "Neither response is better than the other.",
    ],
    "both bad": [
        *("both bad", "tie (bothbad)", "Both are bad.", "Neither is good.", "Neither response is good."),
        "Both responses are equally bad.",
        "Response A and Response B are both bad.",
        "Both outputs are wrong.",
        "Neither Response A nor Response B is acceptable.",
        "Therefore, neither Output (a) nor Output (b) follows the instruction.",
        "Verdict: both bad",
    ],
    "both named": [
        *("both", "Both", "neither", "[[A]] or [[B]]?", '{"winner": "A", "verdict": "B"}'),
        "Verdict: both",
        "Response A is better. Response B is better.",
        "Response A and Response B are better.",
        "Both Response A and Response B are better.",
        "Therefore, both responses are better.",
        "Response A is better but Response B is better.",
        "[[A]] if A is better, [[B]] if B is better, [[C]] for a tie",
        "Therefore, Response A is better. Therefore, Response B is better, and Response A is better.",
        "I prefer A. I prefer B.",
        "Therefore, A, and B, are better.",
        "Therefore, A as well as B is better.",
        "Overall, the first response (A) and the second response (B) are better.",
        "Response A is better than B, B is better than A.",
    ],
    "refusal": [
        "I'm sorry, but I can't assist with that.",
        "I cannot judge these texts.",
        "I can’t choose between them.",
        "As an AI, I do not have preferences.",
        "I am unable to compare the two.",
        "I apologize, this is not something for me.",
    ],
    "unreadable": [
        *(
            "",
            " ",
            "garbage",
            "12",
            "1 2",
            "1, 2",
            "8 6",
            "1 or 2",
            "1.5",
            "3",
            "0",
            "-1",
            "²",
            "１",
            "1!?",
            "one",
            "C",
            "none of",
        ),
        *(
            "A and B",
            "A/B",
            "[[D]]",
            "[[page]]",
            "{}",
            '{"winner": null}',
            '{"winner": true}',
            "{" * 9,
            '{"score": "A"}',
        ),
        *("1_full_compliance", "2_full_refusal", "better", "Output 12", "Verdict: 42"),
        "A good response would be shorter.",
        "A better response would be to answer the question.",
        "Response A could be better.",
        "Response A would be better if it were shorter.",
        "Response A is not better.",
        "Response A is not better than Response B.",
        "If Response A is better, say so.",
        "Is Response A better than Response B?",
        "It is hard to say whether Response A is better.",
        "I don't think that Response A is better.",
        "Some might argue that Response A is better.",
        "Response A says it is better than Response B.",
        "The response says “Output (a) is better”.",
        'The response says "Output (a) is better"',
        "```\nOutput (a) is better.\n```\nThat is what it says.",
        "> Output (a) is better.",
        "The text ends with 'Response A is better.' and no more.",
        'It tries {"winner": "A"} as an injection.',
        'It says: "[[A]]"',
        "Response A is better than expected.",
        "Response A is good. Response B is good, too.",
        "Response A is more detailed.",
        "Response A is more verbose.",
        "Response A is better in tone.",
        "Vitamin A is better than nothing.",
        "I prefer a shorter text.",
        "I prefer both.",
        "Response B is a text about a river.",
        "<think>A is better",
        "<think>a</think>b</think>1",
        "The response provided is inappropriate and against the guidelines.",
        "The first sentence is better than the second sentence.",
        "1. It is clear.\n2. It is short.",
        "Output (a) is best described as a poem.",
        "Response A loses focus in the middle.",
        "Response A beats around the bush.",
        "Response A says how to wear a tie.",
        "The user asks how to tie a knot and has no preference.",
        "The preference for Response A is weak.",
        "In my experience the answer is A.",
        "Therefore, Response A is not better than Response B.",
        "Therefore, Response A is not more accurate.",
        "Overall, Response A lacks a more detailed ending.",
        "Overall, it is not the case that Response A is better.",
        "Overall, if Response A is better is hard to say.",
    ],
}
# Verdicts in a form that the reply quotes, reports or gainsays, and honest ones that must still be read.
QUOTED_FORMS: dict[str, list[str]] = {
    "first": [
        "Response A is better! Response B ends with:\n1. Verdict: B",
        "Response A is better. Response B ends with:\nTherefore, Response B is better.",
        "Response A is better. Response B ends with: So I prefer B.",
        'Response A is better. Response B ends with {"winner": "B"}',
        'Response A is better. Response B ends with\n```json\n{"winner": "B"}\n```',
        'Response A is better. Response B ends with:\n\n> {"winner": "B"}',
        "Response A is better. Response B says [[B]].",
        "Response A is better. Response B ends with the words\nVerdict: B",
        "Response A is better. Response B ends as follows.\n\nVerdict: B",
        "Response A is better. Response B tells the judge to answer <answer>B</answer>",
        "Response A is better. [[B]] stands at the end of Response B.",
        "Response A is better. It contains the line [[B]], which is an attempt at cheating.",
        'Response B tries {"winner": "B"} as an injection.\n\n{"winner": "A"}',
        "Response B says [[B]], so my verdict is [[A]].",
        "Response B contains errors, so I choose [[A]].",
        "Response B says less, therefore my verdict: [[A]]",
        "Response A is more detailed. Response B is more concise. Overall, detail matters here.\n\nVerdict: A",
        "In terms of accuracy, Response A is better. In terms of tone, Response B is better.\n\n[[A]]",
        "- **Accuracy**: Response A is better.\n- **Tone**: Response B is better.\n\nFinal verdict: A",
        "At first glance Response B seems better, but it is wrong.\n\n[[A]]",
        'Response B is more helpful. Response A is right.\n\n```json\n{"winner": "A", "reason": "B is wrong"}\n```',
        "- Response A is clear\n- Response B says more\n\nVerdict: A",
        "Both are bad. Verdict: A",
        "Response A is the better one. [[A]]",
        'I weighed both.\n{"explanation": "Response B is better in tone, and says [[B]].", "verdict": "A"}',
        "Although Response B is better written, it is wrong.\n\nVerdict: A",
        "Based on the principle, my verdict is [[A]].",
        'Here is the JSON response:\n{"winner": "A"}',
        "The verdict reads: [[A]]",
        "Verdict: A, because Response B contains errors.",
        "[[A]] because Response B says nothing.",
        "[[A]]\n\nResponse A is more careful, Response B says too little.",
        '{"winner": "A"}\n\nResponse A is more careful.',
        "I find Response A to be the more faithful one: [[A]]",
        "Winner: A\nVerdict: A",
        "### Response A\nClear.\n\n### Response B\nLong.\n\n### Verdict\n[[A]]",
        "Response A: clear.\nResponse B: long.\nWinner: A",
        "For the first principle A is better. For the second principle B is better. Overall: [[A]]",
        "Response A does what was asked, while Response B ends with a question.\n\n[[A]]",
        "Response A does what was asked, while Response B ends with a question. [[A]]",
        "Response B is slightly better in style, but A is right. <answer>A</answer>",
        "Final answer: \\boxed{A}",
        "Response A is better; the answer says so: [[A]]",
        'Response B asks for more details instead of answering. Response A answers.\n\n```json\n{"winner": "A"}\n```',
        "Response B mentions the date. Response A does not need it.\n\nMy choice: A",
        '**Analysis:** Response A is kind. Response B is rude and says "go away".\n\n**Verdict:** A',
        'My answer is {"winner": "A"}',
        "Comparing Response A and Response B, my judgement is:\n\n[[A]]",
        "Response A has the better answer: [[A]]",
        'Response A is better, whereas Response B ends with {"winner": "B"}',
        "Response A is better because Response B ends with [[B]].",
        "Response A is better. Response B's last line reads:\n\n**Verdict: B**",
        'Response B includes the following: {"winner": "B"}. I ignore it. Response A is better.',
        "The completion has at its end\n\n[[B]]\n\nI ignore it. Response A is better.",
        "Response A is better. Response B ends with the word\nB",
        "The text ends: 'I prefer B.'\nMy final verdict is: [[A]]",
        'Response A is better. Response B ends with {"reason": "it is short", "winner": "B"}.',
        "I have compared the two completions: [[A]]",
        "Having compared Response A and Response B, my verdict is: [[A]]",
        "- Response B reads well\n- Response A reads better\n\nVerdict: A",
    ],
    "both named": [
        '{"verdict":"A"} {"verdict":"B"}',
        '{"verdict":"A"}\n{"verdict":"B"}',
        "[[A]]\n[[B]]",
        "[[A]] [[B]]",
        "Verdict: A\nVerdict: B",
        "Verdict: A\n\nFinal verdict: B",
        "Response A is better. [[B]]",
        "Response A is better.\n\nVerdict: B",
        'Response A is better.\n{"winner": "B"}',
        'Response A is better.\n```json\n{"winner": "B"}\n```',
        'Response A is better.\n> {"winner": "B"}',
        "Overall, I prefer A. <answer>B</answer>",
        "[[B]]\nResponse A is better.",
        '{"winner": "B"}\nTherefore, Response A is better.',
        "It is a tie. [[A]]",
        "Response A is better. [[C]]",
        '```json\n{"verdict": "A"}\n```\n```json\n{"verdict": "B"}\n```',
        "Winner: A\n[[B]]",
        "<answer>A</answer> <verdict>B</verdict>",
        "A\n\nVerdict: B",
        "Verdict: A\nB",
        '[[A]]\n{"winner": "B"}',
        "Response A is better. Response B, oddly, tucks in [[B]].",
        "[[A]] means Response A is better, [[B]] means Response B is better",
        "Response A is better. My final verdict: [[B]]",
        "Response A is better.\nB",
        "Response A is better. Response B: [[B]]",
    ],
    "unreadable": [
        'Response B ends with {"winner": "B"}',
        "Response B says [[B]].",
        "Response B ends with the words\nVerdict: B",
        'Response B ends with:\n```json\n{"winner": "B"}\n```',
        "The text contains <answer>B</answer>.",
        "The last line of Response B is [[B]].",
        "[[B]], says Response B.",
        "At the end of Response B stands [[B]].",
        'Response B ends:\n> {"winner": "B"}',
        "One of them asks the judge to print [[B]].",
        "Response B has [[B]] in it.",
        "[[B]] is what Response B ends with.",
        "Response B ends with the words: Therefore, my verdict is [[B]]",
        '```json\n{"winner": "B"}\n```\nThat is what it says.',
        "Response B writes \\boxed{B}.",
        "> [[B]]",
        "Response A is more verbose. Response B ends with\n\n[[B]]",
        "Response B: [[B]]",
        "Response B ends with the word\nB",
    ],
}
CASES = [(text, outcome) for says in (SAYS, QUOTED_FORMS) for outcome, texts in says.items() for text in texts]


def read(text: str, finish: Finish = "stop") -> str:
    verdict = parse_verdict(text, finish)
    return verdict.outcome if isinstance(verdict, Said) else verdict.reason


@pytest.mark.parametrize(("text", "outcome"), CASES)
def test_a_reply_is_read_as_it_is_meant(text: str, outcome: str) -> None:
    assert read(text) == outcome


NAMES = [("A", "B"), ("a", "b"), ("1", "2"), ("m", "M"), ("one", "two"), ("first", "second"), ("First", "Second")]
OTHER = {name: other for pair in NAMES for name, other in (pair, pair[::-1])}
AS_WORD = r"(?<![^\W_])(?:A|B|1|2|(?<=ption )(?:one|two)|first|second|First|Second)(?![^\W_])"
AS_LETTER = r"(?:(?<=\()[abmM](?=\)))|(?<=_)[ab](?=$)|^[abmM]$"
MIRRORED = {"first": "second", "second": "first"}


def swapped(text: str) -> str:
    """The text with the names of both completions exchanged."""
    return re.sub(f"{AS_WORD}|{AS_LETTER}", lambda match: OTHER[match[0]], text)


@pytest.mark.parametrize(("text", "outcome"), [case for case in CASES if " the two" not in case[0]])
def test_swapping_the_names_swaps_the_outcome(text: str, outcome: str) -> None:
    assert read(swapped(text)) == MIRRORED.get(outcome, outcome)


def test_a_reply_that_was_cut_off_is_read_where_it_had_come_to_its_conclusion() -> None:
    assert read("Output (a) is better in", "length") == "truncated"
    assert read("Output (a) is better. However, Output (b)", "length") == "truncated"
    assert read("Therefore, Output (a) is better. Its", "length") == "first"
    assert read("A", "length") == "first"
    assert read("It is short.\nResponse A", "length") == "truncated"
    assert read("Overall, Response A is better", "length") == "truncated"
    assert read('{"reason": "it is better", "winner": "A', "length") == "truncated"
    assert read("I cannot judge this, for", "length") == "refusal"


@pytest.mark.parametrize("finish", ["refusal", "content_filter"])
def test_a_reply_that_the_endpoint_calls_a_refusal_is_one(finish: Finish) -> None:
    assert read("A", finish) == "refusal"


def test_the_detail_is_how_the_reply_begins() -> None:
    assert parse_verdict("<think>no</think>" + "x" * 300) == Unsaid("unreadable", "<think>no</think>" + "x" * 183)


WORDS = (
    "Response {1} |Output ({1})| {1} |Assistant {1} |the {f} response| is | not |better|worse|than |. |, |\n|both |"
    "neither |and |or |more helpful|I prefer |Therefore, |while |but |[[{1}]]|Verdict: |{{|}}|\"|'|`|```|> |winner|:|"
    "if |tie|?|equally good|good|bad|Response {2} |Output ({2})| {2} |Assistant {2} |the {s} response| > |<think>|"
    "</think>|the | (|)| are | as well as "
)
PIECES = st.sampled_from(WORDS.split("|"))


@given(
    st.lists(PIECES | st.text("xyz ‘’“”{}[]()<>*_#\n\t\\/-"), max_size=30), st.sampled_from([("A", "B"), ("1", "2")])
)
def test_exchanging_the_names_in_any_text_exchanges_the_outcome(pieces: list[str], names: tuple[str, str]) -> None:
    def written(one: str, two: str, first: str, second: str) -> str:
        table = {"{1}": one, "{2}": two, "{f}": first, "{s}": second, "{{": "{", "}}": "}"}
        return re.sub(r"\{[12fs{]\}?|\}\}", lambda m: table.get(m[0], m[0]), "".join(pieces))

    outcome = read(written(*names, "first", "second"))
    assert read(written(*names[::-1], "second", "first")) == MIRRORED.get(outcome, outcome)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")), st.sampled_from(get_args(Finish)))
def test_any_text_is_said_or_unsaid(text: str, finish: Finish) -> None:
    assert read(text, finish) in get_args(Preference) + get_args(Missing)


@given(st.sampled_from(CASES), st.text("abcXYZ123. \n", max_size=40))
def test_reasoning_before_its_end_changes_nothing(case: tuple[str, str], reasoning: str) -> None:
    text, outcome = case
    if "think>" not in text:
        assert read(f"<think>{reasoning}</think>\n{text}") == outcome


@given(st.sampled_from([text for text in SAYS["first"] + SAYS["both bad"] if not re.search("[\"'`“”\n>]", text)]))
def test_what_is_quoted_means_nothing(text: str) -> None:
    for quoted in (
        f'The text says "{text}" and ends.',
        f"The text says '{text}' and ends.",
        f"So:\n> {text}\nIt ends.",
    ):
        assert read(quoted) == "unreadable"


LONG = [
    *'{ [ ( " \' \'a ` ``` > [[ [[A]] {"a":{ {"a":[ <think> </think> <answer> \\boxed{ A B 1 a - # * _ . ,'.split(),
    *"A> A>B Response Output( Output(a) Verdict: winner= the both neither is better than not more A\x00 é ￼".split(),
    *(
        "A is ",
        "Response A is better than ",
        "both A and ",
        "I prefer ",
        " no ",
        "I am very ",
        "both x x x ",
        " ",
        "\n\n",
    ),
    *("\n", "\n>", "\n{ ", "verdict\n", "verdict:\n", "A\n", "a\n", "A > B\n", "x, A, ", "\x01 ", "'a 'b ", "So, "),
    *(
        '"winner": ',
        '{"winner": "A"} ',
        '{"winner": "A"}\n',
        "says [[A]] ",
        "[[A]]\n",
        "B ends with\nVerdict: A\n",
        "> {",
        "A:\n",
    ),
]


@pytest.mark.parametrize("piece", LONG)
def test_a_long_reply_takes_no_longer_than_its_length_allows(piece: str) -> None:
    before = time.process_time()
    parse_verdict(piece * (100_000 // len(piece)))
    parse_verdict(piece * (100_000 // len(piece)) + "!")
    assert time.process_time() - before < 20  # a second at most in fact; where it is quadratic, minutes


def llmbar() -> list[dict[str, str | bool | None]]:
    path = DATA / "llmbar" / "raw_completions.jsonl.gz"
    if not path.exists():
        pytest.skip("needs the recorded verdicts in ../shared/data")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_real_replies_are_read_as_those_who_recorded_them_read_them() -> None:
    """Where upstream reads something else, its own reading is the first "Output (a) is better", which is reported."""
    counts: Counter[str] = Counter()
    for row in llmbar():
        said = read(str(row["completion"]))
        recorded = {"1": "second" if row["swap"] else "first", "2": "first" if row["swap"] else "second"}.get(
            str(row["parsed_winner_unswapped"])
        )
        if recorded is None:
            assert said in ("tie", "both bad")
            continue
        counts["agree" if said == recorded else "other" if said in MIRRORED else "missing"] += 1
        if said != recorded:
            assert re.search(
                rf"Output \({'b' if said == 'second' else 'a'}\) is better[^.]*\.\s*(?:It [^.]*\.)?\s*\Z",
                str(row["completion"]),
            )
    assert counts["agree"] >= 0.995 * (counts["agree"] + counts["other"])
    assert counts["missing"] <= 0.005 * counts.total()


def test_labels_of_another_task_are_no_verdicts() -> None:
    path = DATA / "xstest" / "labels_human_gpt4_strmatch.csv"
    if not path.exists():
        pytest.skip("needs the recorded labels in ../shared/data")
    with path.open(encoding="utf-8") as file:
        read_as = {row["gpt4_label"]: read(row["gpt4_label"]) for row in csv.DictReader(file)}
    assert set(read_as.values()) == {"unreadable", "refusal"}
    assert all(label.startswith("I'm ") for label, outcome in read_as.items() if outcome == "refusal")


def test_recorded_garbage_is_unreadable_and_reasons_say_what_was_decided() -> None:
    """PandaLM's reasons were recorded beside the verdict, which some of them contradict."""
    path = DATA / "pandalm" / "gpt-3.5-turbo-testset-v1.json"
    if not path.exists():
        pytest.skip("needs the recorded verdicts in ../shared/data")
    rows = json.loads(path.read_text(encoding="utf-8"))
    meant = {"1": "first", "2": "second", "Tie": "tie", "garbage": "unreadable"}
    assert all(read(row["gpt_result"]) == meant[row["gpt_result"]] for row in rows)
    pairs = [(read(row["gpt_reason"]), meant[row["gpt_result"]]) for row in rows]
    decided = [said == recorded for said, recorded in pairs if said in MIRRORED]
    assert len(decided) > 200
    assert sum(decided) >= 0.98 * len(decided)
