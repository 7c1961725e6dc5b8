"""An evaluation's page: hostile texts stay text, nothing is fetched, nothing is empty, and Altair may be missing."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

import pytest

from solon.auditing.text import shown
from solon.evaluating import plots
from solon.evaluating.curves import curve_rows, points_of
from solon.evaluating.page import page
from solon.evaluating.terminal import told
from trainer.evaluation.guards import Checked, Guards, checked, unmeasured
from trainer.evaluation.measures import FAVOURED, KL, REWARD, WIN_RATE, Evaluation, Measure
from trainer.evaluation.overoptimisation import Point

HOSTILE = (
    "</style><script>alert(1)</script>",
    'datum["x"] || "',
    "a\x1b[2J\nb\u202e\x00\ud800",
    "&lt;b&gt;' onload='",
)
ELEMENTS = set(
    "html head meta title style body h1 h2 h3 p div span ul li figure figcaption table tr th td dl dt dd".split()
)
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class"}
MEASURES = (
    Measure("short", "share", 0.2, 0.9, 0.7, 0.6, 0.8, 40, rule=True),
    Measure("mean words", "words", 90.0, 30.0, -60.0, -70.0, -50.0, 40),
    Measure("distinct-2", "ratio", 0.8, 0.7, -0.1, -0.2, 0.0, 40),
    Measure(FAVOURED, "share", 0.1, 0.9, 0.8, 0.7, 0.9, 40, note="honey"),
    Measure(WIN_RATE, "share", 0.5, 0.75, 0.25, 0.1, 0.4, 40),
    Measure(KL, "nats", 0.0, 9.0, 9.0, 8.0, 10.0, 16),
    Measure(REWARD, "reward", 0.0, 1.5, 1.5, 1.0, 2.0, 40),
)
STEPS = [{"step": n, "steps": 4, "figures": {"loss": 1 / n, "reward": 0.3 * n, "kl": float(n)}} for n in range(1, 5)]


def record(**changes: Any) -> dict[str, Any]:
    """A whole evaluation as its file has it."""
    evaluation = Evaluation(MEASURES, 40, 2000, 0)
    guards = checked(evaluation, Guards(win_rate=0.4))
    whole = {
        "name": "ppo", "policy": "runs/demo/models/ppo", "base": "smollm2.gguf", **asdict(evaluation),
        "guards": [asdict(guard) for guard in guards], "unwatched": list(unmeasured(evaluation, Guards())),
        "tripped": [guard.told for guard in guards if guard.tripped], "warnings": ["Read some."],
        "wins": {"by": "helpful-honest, judged by big", "notes": ["short also made the labels"],
                 "no_verdicts": {"truncated": 3}},
        "previous": {"name": "sft", **asdict(evaluation)},
        "training": {"method": "ppo", "base": "sft", "rows": 64, "seconds": 300.0, "tokens": 120000,
                     "dropped": {"too long": 2}, "figures": {"unrewarded": 1.0}, "steps": STEPS},
        "examples": [{"prompt": "Why?", "base": "Because of many things.", "trained": "So."}],
    }  # fmt: skip
    loaded: dict[str, Any] = json.loads(json.dumps({**whole, **changes}))
    return loaded


def hostile(text: str) -> dict[str, Any]:
    """The same with ``text`` wherever a name or a text comes from a file or a model."""
    spelled = json.dumps(record())
    for name in ("short", "honey", "sft", "big", "truncated", "too long", "unrewarded", "Because of many things.",
                 "Read some.", "smollm2.gguf", "Why?"):  # fmt: skip
        spelled = spelled.replace(json.dumps(name)[1:-1], json.dumps(text)[1:-1])
    loaded: dict[str, Any] = json.loads(spelled)
    loaded["training"]["method"] = text
    return loaded | {"name": text}


def bare() -> dict[str, Any]:
    """An evaluation in which everything that may be missing is."""
    training = record()["training"] | {"steps": STEPS[:1], "figures": {}, "dropped": {}}
    return record(
        measures=[asdict(MEASURES[1])], guards=[], unwatched=[], tripped=[], warnings=[], previous=None, examples=[],
        wins={"by": None, "notes": [], "no_verdicts": {}}, training=training,
    )  # fmt: skip


def nothing(_: Mapping[str, Any]) -> dict[str, str]:
    return {}


class Seen(HTMLParser):
    """The page's elements with their attributes, its words, and what stands under each second-level heading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.words: list[str] = []
        self.within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.within = tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.within == "h2":
            self.sections.setdefault(data, "")
        elif self.sections:
            self.sections[list(self.sections)[-1]] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        self.within = ""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_stay_text(name: str) -> None:
    text = page(hostile(name), nothing)
    seen = Seen(text)
    assert {tag for tag, _ in seen.elements} <= ELEMENTS
    assert {key for _, attributes in seen.elements for key in attributes} <= ATTRIBUTES
    assert all(c in "\n\xa0" or c.isprintable() for c in text)
    assert sum(shown(name) in words for words in seen.words) >= 5
    text.encode()


@pytest.mark.parametrize("name", HOSTILE[:2])
def test_hostile_texts_stay_text_in_pictures_too(name: str) -> None:
    pytest.importorskip("altair")
    for svg in plots.draw(hostile(name)).values():
        tags = {tag for tag, _ in Seen(svg).elements}
        assert tags <= {"svg", "g", "path", "text", "rect", "line", "defs", "clippath", "style"}
        assert "alert(1)<" not in svg


def test_nothing_is_fetched_and_nothing_runs() -> None:
    text = page(record(), nothing)
    assert not any(word in text for word in ("http:", "https:", "src=", "href=", "url(", "<script", "@import"))
    assert "default-src 'none'" in text


def test_what_is_there_has_its_section_and_what_tripped_stands_first() -> None:
    seen = Seen(page(record(), lambda _: dict.fromkeys(("measures", "previous", "reward", "training"), "<svg></svg>")))
    assert list(seen.sections) == [
        "What speaks against it",
        "Beside smollm2.gguf",
        "Guards",
        "Beside sft, which it was trained from",
        "Reward against distance",
        "Training",
        "Read for yourself",
        "Words",
    ]
    text = page(record(), nothing)
    assert text.index("1 guard of") < text.index("most favoured word (&#x27;honey&#x27;)") < text.index("<h2>")
    assert "Without a figure, and so not watched: self_bleu" in text


def test_what_is_missing_leaves_no_empty_heading() -> None:
    seen = Seen(page(bare(), nothing))
    assert list(seen.sections) == ["Beside smollm2.gguf", "Training", "Words"]
    assert all(seen.sections.values())
    assert not {"None", "nan", "null"} & {word.strip(".,:") for words in seen.words for word in words.split()}
    assert "No guard has a figure to watch" in page(bare(), nothing)


def test_without_altair_the_page_has_its_tables_and_says_how_to_get_the_plots() -> None:
    def not_installed(_: Mapping[str, Any]) -> dict[str, str]:
        raise ImportError("No module named 'altair'")

    text = page(record(), not_installed)
    assert "pip install &#x27;solon[audit]&#x27;" in text
    assert "mean words" in text
    assert "<figure>" not in text


def test_pictures_show_what_there_is_and_are_the_same_each_time() -> None:
    pytest.importorskip("altair")
    pictures = plots.draw(record())
    assert pictures.keys() == {"measures", "previous", "reward", "training"}
    assert all(svg.startswith("<svg") and "href" not in svg for svg in pictures.values())
    assert "most favoured word (honey)" in pictures["measures"]
    assert pictures == plots.draw(record())
    assert plots.draw(bare()).keys() == {"measures"}


def test_a_guard_s_field_lies_on_the_side_where_it_trips() -> None:
    def field(guard: str, least: bool, at: float) -> tuple[float, float]:
        row = plots.forbidden({"guard": guard, "least": least, "difference": at}, (-2.0, 2.0))
        return row["low"], row["high"]

    assert field("win_rate", True, 0.1) == (-2.0, 0.1)
    assert field("rule_fall", False, -0.5) == (-2.0, -0.5)
    assert field("refused_unsafe", False, -0.0) == (-2.0, 0.0)
    assert field("kl", False, 1.0) == (1.0, 2.0)
    assert field("word", False, 0.5) == (0.5, 2.0)


def test_every_guard_s_field_holds_its_measure_just_where_it_tripped() -> None:
    evaluation = Evaluation(MEASURES, 40, 2000, 0)
    found = {measure.name: measure.difference for measure in MEASURES}
    for guards in (Guards(), Guards(win_rate=0.8, kl=1.0, shrunk=0.5, distinct=0.9, word=0.9, rule_fall=0.0)):
        for guard in checked(evaluation, guards):
            field = plots.forbidden(asdict(guard), (-1e9, 1e9))
            assert (field["low"] < found[guard.measure] < field["high"]) is guard.tripped, guard.told


def test_the_way_of_the_reward_is_the_training_s_own_or_the_two_ends_that_were_measured() -> None:
    assert [(p.at, p.kl, round(p.reward, 1)) for p in points_of(record())] == [
        (1, 1.0, 0.3), (2, 2.0, 0.6), (3, 3.0, 0.9), (4, 4.0, 1.2),
    ]  # fmt: skip
    offline = [{"step": 1, "steps": 1, "figures": {"loss": 1.0}}]
    ends = points_of(record(training=record()["training"] | {"steps": offline}))
    assert ends == [Point(0, 0.0, 0.0, 0.5, "smollm2.gguf"), Point(1, 9.0, 1.5, 0.75, "ppo")]
    assert points_of(bare()) == []


def test_a_figure_that_never_moves_and_one_that_is_no_number_have_no_curve() -> None:
    steps = [{"step": n, "figures": {"loss": 1 / n, "kl_coef": 0.05, "reward": float("nan")}} for n in (1, 2)]
    assert [(row["figure"], row["step"]) for row in curve_rows(steps)] == [("loss", 1), ("loss", 2)]


def test_rounds_are_drawn_with_their_names_limits_and_judgements() -> None:
    pytest.importorskip("altair")
    points = [Point(n, float(n), 0.5 * n, 0.5 + 0.1 * n, f"round {n}") for n in range(3)]
    svg = plots.reward_against_kl(points)
    assert "round 2" in svg
    assert "win rate by the judge" in svg
    held = [
        (f"round {n}", [Checked("kl", KL, 10.0 * n, 15.0, False, 15.0, n > 1, "told"),
                        Checked("rule_fall", "short", 0.1, 0.5, False, -0.5, False, "told")])
        for n in (1, 2)
    ]  # fmt: skip
    drawn = plots.guards_by_round(held)
    assert "kl: KL from base" in drawn
    assert "rule fall: short" in drawn
    assert plots.BAD in drawn
    layers = plots.guarded(held).to_dict()["spec"]["layer"]
    (limit,) = [layer for layer in layers if layer["mark"]["type"] == "rule"]
    assert limit["encoding"].keys() == {"y"}  # with a place in x too it would stand upright


def test_a_terminal_is_told_the_tables_the_doubts_and_every_guard_that_tripped() -> None:
    said = told({**record(), "page": "p.html", "report": "r.md"})
    assert "against smollm2.gguf, on 40 held-out prompts" in said
    for words in ("against sft", "Read some.", "no verdict: truncated (3)", "guard: guard 'word'", "page: p.html"):
        assert words in said
    assert "none of" not in said
    assert "no guard has a figure to watch" in told({**bare(), "page": "", "report": ""})
