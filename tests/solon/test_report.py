import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from constitution.principle import Constitution, Principle
from generator.candidates import Candidate
from generator.chat import ChatReply, ChatRequest, TokenLogprob
from generator.gather import Generation
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt, parse_prompt
from generator.sampling import Sampling
from judge.asking import Asking
from judge.audit.position import Position
from judge.canaries import CanaryCount
from judge.judging import Judging
from judge.pairs import PreferencePair
from judge.pairwise import Juror
from solon.cli import actions
from solon.figures import Figures, Kept, Seen, Tally, figures
from solon.pipeline import Recipe, process
from solon.report.markdown import one_line
from solon.report.render import Facts, judge_section, render
from solon.text import printable
from trainer.evaluation.measures import Measure

HOSTILE = (
    "# A heading\n\n| a | b |\n|---|---|\n```\n</details><script>alert(1)</script> **bold** [x](http://e) ![i](j)\n"
    "> quoted\n- item `code` \x1b[31mred\x1b[0m \x07 \u202e <!-- _em_ ~~x~~ &#60; \\"
)
PROMPT = Prompt("p", parse_prompt('{"prompt": "Why?"}', "").messages)


def candidate(name: str, text: str) -> Candidate:
    return Candidate(name, text, "stop", f"call-{name}", 0, 0)


def pair(chosen: str, rejected: str) -> PreferencePair:
    sides = candidate("a", chosen), candidate("b", rejected)
    return PreferencePair("pair", PROMPT, *sides, 0.9, 0.8, ("rule",), True)


def seen(position: Position) -> Seen:
    return Seen(position, CanaryCount().told())


FACTS = Facts(
    name="demo",
    constitution="c",
    models={"policy": "m", "judge": "j"},
    figures=Figures(Tally(rows=1), (seen(Position(0, None, None)),), (), None),
    run=None,
    training={},
    evaluations={},
    files={},
)


def with_figures(**changes: object) -> Facts:
    return replace(FACTS, figures=replace(FACTS.figures, **changes))


def slot_bound(slot: str) -> ScriptedModel:
    def script(request: ChatRequest) -> ChatReply | str:
        if not request.top_logprobs:
            return f"Some words about it, number {request.sample}."
        return ChatReply("", slot, "stop", "m", first_token=(TokenLogprob(slot, -0.1),))

    return ScriptedModel(script)


def fair(request: ChatRequest) -> ChatReply | str:
    if not request.top_logprobs:
        return f"Some words about it, number {request.sample}."
    content = request.messages[-1].content
    first = content.index("number 1") < content.index("number 0")
    return ChatReply("", "", "stop", "m", first_token=(TokenLogprob("1" if first else "2", -0.1),))


async def position_of(model: ScriptedModel, prompts: int) -> Position:
    sampling = Sampling(1.0, 10)
    recipe = Recipe(
        Constitution("c", "C", "1", "", (Principle("rule", "It helps."),)),
        Generation(model, model, sampling, sampling, completions=2, rounds=0, seed=0),
        Judging((Juror(model),), "one", "all", Asking(0)),
        0.0,
    )
    asked = [
        replace(PROMPT, id=f"p{n}", messages=parse_prompt(f'{{"prompt": "Why {n}?"}}', "").messages)
        for n in range(prompts)
    ]
    rows = [await process(prompt, recipe) for prompt in asked]
    (judge,) = figures(rows, recipe.constitution).judges
    return judge.position


@pytest.mark.parametrize("slot", ["1", "2"])
async def test_a_judge_that_always_picks_one_slot_is_called_unable_to_judge(slot: str) -> None:
    position = await position_of(slot_bound(slot), 25)
    report = render(with_figures(judges=(seen(position),)))
    assert f"> **The judge model cannot judge: it picks slot {slot} in 100% of its verdicts" in report
    assert "Use a stronger model under" in report
    assert "Nothing here speaks against" not in report


async def test_a_judge_that_sees_the_texts_is_not(tmp_path: Path) -> None:
    report = render(with_figures(judges=(seen(await position_of(ScriptedModel(fair), 25)),)))
    assert "cannot judge" not in report
    assert "Nothing here speaks against this judge." in report


def test_where_no_model_judged_the_report_says_that_checks_decided() -> None:
    assert judge_section(Figures(Tally(), (seen(Position(0, None, None)),), (), None)).startswith(
        "No judge model was asked"
    )


SLOT_ONE = """
from generator.chat import ChatReply, TokenLogprob
from generator.models.rambler import SCRIPTS, ramble
SCRIPTS["slot-one"] = lambda r: ChatReply("", "1", "stop", "m", first_token=(TokenLogprob("1", -0.01),))
"""


def test_a_slot_bound_judge_is_named_in_the_report_on_the_terminal_and_in_json(
    cli: Callable[..., object], write_run: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_run({"judge": {"model": "slot-one"}}, prompts=10)
    said = str(getattr(cli("run", config, script=SLOT_ONE), "stdout", ""))
    warning = "The judge model cannot judge: it picks slot 1 in 100% of its verdicts"
    assert warning in said
    assert warning in (tmp_path / "runs/demo/report.md").read_text()
    assert warning in (tmp_path / "runs/demo/summary.json").read_text()


def test_model_text_stays_data_in_the_report() -> None:
    report = render(with_figures(example=pair(HOSTILE, HOSTILE[::-1])))
    shown = next(line for line in report.splitlines() if line.startswith("**Chosen:** "))
    assert shown.startswith(r"**Chosen:** \# A heading \| a \| b \|")
    for character in "`*_{}[]<>#|!~&":
        assert not re.search(rf"(?<!\\)(?:\\\\)*{re.escape(character)}", shown.removeprefix("**Chosen:**")), character
    assert not any(c for c in report if c != "\n" and not c.isprintable())
    plain = render(with_figures(example=pair("x", "y")))
    assert report.count("\n") == plain.count("\n")
    assert report.count("## ") == plain.count("## ") + shown.count("## ") * 2


def test_long_model_text_is_cut_and_short_text_is_whole() -> None:
    assert one_line("long word " * 1000) == "long word " * 60 + " …"
    assert one_line(" Two\n lines. ") == "Two lines."


def test_a_lone_surrogate_does_not_keep_the_report_from_being_written() -> None:
    render(with_figures(example=pair("\ud800", "b"))).encode()


def test_shares_that_have_no_data_are_shown_as_none_and_never_as_zero() -> None:
    report = render(with_figures(kept=(Kept("short", 0.25, None, 1.0, 0.0),)))
    assert "| short | 25% | – | 100% | 0% |" in report


def test_every_drop_and_every_missing_verdict_is_counted_in_the_report() -> None:
    tally = Tally(rows=3, drops=Counter({"tie": 2}), no_verdicts=Counter({"truncated": 5}))
    report = render(with_figures(tally=tally))
    assert "| tie | 2 |" in report
    assert "| no verdict: truncated | 5 |" in report
    assert "Everything became a pair." in render(FACTS)


def test_the_report_of_a_run_says_where_everything_is(write_run: Callable[..., Path], tmp_path: Path) -> None:
    actions.run(write_run(), tmp_path / "out", accept_changes=False, no_budget=False)
    report = (tmp_path / "out" / "report.md").read_text()
    for name in ("config.toml", "principles.toml", "journal.db"):
        assert f"`{tmp_path / 'out' / name}`" in report
    assert "## Training" not in report
    assert "## Evaluation" not in report
    assert "| short |" in report


TRAINING = {
    "method": "dpo", "base": "smollm2.gguf", "rows": 43, "seconds": 138.2, "tokens": 12345,
    "dropped": {"too long": 2, "identical": 0}, "figures": {"held-out accuracy": 0.7512},
    "steps": [{"step": n, "steps": 9, "figures": {"loss": 0.7 / n, "margin": 0.1 * n, "tokens_per_second": 1234.5}}
              for n in range(1, 10)],
}  # fmt: skip
EVALUATION = {
    "base": "smollm2.gguf", "prompts": 48, "resamples": 2000, "seed": 0, "warnings": ["Read *some*."],
    "tripped": ["guard 'word': <b>honey</b>"], "wins": {"by": "other, judged by big"},
    "measures": [
        asdict(Measure("short", "share", 0.04, 0.77, 0.73, 0.6, 0.85, 48, rule=True)),
        asdict(Measure("mean words", "words", 105.0, 24.0, -81.0, -90.0, -70.0, 48)),
        asdict(Measure("most favoured word", "share", 0.0, 0.0, 0.0, -0.001, 0.0, 48, note="|honey|")),
    ],
}  # fmt: skip


def test_every_model_has_its_training_in_the_report_whatever_the_method_tells() -> None:
    reward = {**TRAINING, "method": "reward", "steps": [{"step": 1, "steps": 1, "figures": {"accuracy": 0.5}}]}
    report = render(replace(FACTS, training={"dpo": TRAINING, "reward": reward}))
    assert (
        "### dpo\n\nDPO on 43 pairs in 138 s, 9 steps, 12,345 tokens, from `smollm2.gguf`; left out: too long 2."
        in report
    )
    assert "| step | loss | margin | tokens per second |" in report
    assert "| 1 | 0.700 | 0.100 | 1,234 |" in report
    assert "| 9 | 0.078 | 0.900 | 1,234 |" in report
    assert "| held-out accuracy | 0.751 |" in report
    assert report.index("### dpo") < report.index("### reward") < report.index("| 1 | 0.500 |")


def test_every_model_has_its_evaluation_in_the_report_with_what_tripped() -> None:
    report = render(replace(FACTS, evaluations={"dpo": EVALUATION}))
    assert "On 48 held-out prompts, beside `smollm2.gguf`. Wins: other, judged by big." in report
    assert "| short | 4% | 77% | +73% | [+60%, +85%] |" in report
    assert "| mean words | 105 | 24 | -81 | [-90, -70] |" in report
    assert r"| most favoured word (\|honey\|) | 0% | 0% | +0% | [+0%, +0%] |" in report  # no minus before nothing
    assert r"> **A guard tripped: guard 'word': \<b\>honey\</b\>**" in report
    assert r"> **Read \*some\*.**" in report


def test_printable_keeps_words_in_any_script_and_spells_out_what_moves_a_cursor() -> None:
    assert printable("Grüße, 世界 🙂\n\ttab") == "Grüße, 世界 🙂\n\ttab"
    assert printable("a\x1b[2Jb\rc\x00\x9b\u202e\ud800") == r"a\x1b[2Jb\rc\x00\x9b\u202e\ud800"
