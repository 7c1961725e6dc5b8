"""The audit's page: hostile names stay text, nothing is fetched, nothing is empty, and Altair may be missing."""

import json
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from solon.auditing.page import page
from solon.auditing.plots import draw
from solon.auditing.text import shown

pytest.importorskip("scipy", reason="audits are not installed: pip install 'solon[audit]'")

from judge.audit.parts import part
from judge.audit.plain import plain
from judge.audit.table import Labels, Material, Verdicts, average

HOSTILE = (
    "</style><script>alert(1)</script>",
    "__proto__",
    'datum["x"] || "',
    "a\x1b[2J\nb\u202e\x00\ud800",
    "&lt;b&gt;' onload='",
)
ELEMENTS = set(
    "html head meta title style body h1 h2 h3 p div span b ul li figure figcaption table tr th td dl dt dd".split()
)
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class"}
PICTURES = {"accuracy", "reliability", "coverage", "position", "strata"}


def nothing(_: Mapping[str, Any]) -> dict[str, str]:
    return {}


def not_installed(_: Mapping[str, Any]) -> dict[str, str]:
    raise ImportError("No module named 'altair'")


def material() -> Material:
    """60 items in both orders, two judges of whom the second is worse, three annotators, two strata, lengths."""
    random = np.random.default_rng(0)
    item, judge, order = (axis.ravel() for axis in np.meshgrid(range(60), (0, 1), (1, 2), indexing="ij"))
    truth = random.integers(1, 3, 60)
    wrong = random.random((60, 2, 2))[item, judge, order - 1] < np.array([0.1, 0.3])[judge]
    choice = np.where(wrong, 3 - truth[item], truth[item])
    p_one = np.where(choice == 1, 0.8, 0.2) + random.uniform(-0.2, 0.2, len(item))
    verdicts = Verdicts(("one", "two"), item, judge, order, choice, p_one, np.ones(len(item), np.bool_), {"why": 2})
    said, who = (axis.ravel() for axis in np.meshgrid(range(60), range(3), indexing="ij"))
    labels = Labels(("x", "y", "z"), said, who, truth[said])
    lengths = random.integers(10, 99, (60, 2))
    return Material(tuple(map(str, range(60))), verdicts, labels, ("easy", "hard"), np.arange(60) % 2, lengths)


@cache
def written() -> str:
    """A whole audit as JSON, everything in it."""
    made = material()
    averaged = average(made)
    told = plain(part(made, averaged, np.ones(60, np.bool_), 0))
    divided = {name: plain(part(made, averaged, made.stratum == at, 0)) for at, name in enumerate(made.strata)}
    share = {"x": 0.9, "x_interval": [0.8, 0.95]}
    anchored = {f"{name}{end}": share[f"x{end}"] for name in ("accuracy", "ece", "coverage", "best_single", "majority")
                for end in ("", "_interval")}  # fmt: skip
    alone = {"estimate": 0.5, "interval": [0.4, 0.6]}
    weights = {"one": 0.5, "two": 0.1}
    tested = {"winning_rate": 1.0, "advantage": 0.8, "may_replace": True}
    whole = told["together"] | {
        "verdicts": "easy", "labels": "L.csv", "items": 60, "labelled": 60, "judges": ["one", "two"], "annotators": 3,
        "notes": ["one"], "warnings": ["one"], "no_verdicts": {"why": 2}, "best_judge": "one",
        "coverage": 0.9, "coverage_interval": [0.8, 0.95], "by_judge": told["judges"], "people": told["people"],
        "longer": told["longer"],
        "longer_interval": told["longer_interval"], "people_longer": told["people_longer"],
        "people_longer_interval": told["people_longer_interval"], "strata": divided,
        "anchored": anchored | {"labels": 20, "splits": 5, "kept_single": 0.0, "fitted_to_all": {"weights": weights}},
        "selective": {"alpha": 0.2, "delta": 0.05, "threshold": 0.7, "accepted_share": 0.8, "agreement": 0.9,
                      "agreement_interval": [0.8, 0.95]},
        "ppi": alone | {"human_only": alone, "width_ratio": 0.8, "effective_labels": 50.0, "labels": 30, "items": 60,
                        "simulated": 5, "interval_beyond": [0.3, 0.7]},
        "budget": [{"labels": 50, "with_judges": 0.1, "human_only": 0.2}],
        "alternative": {"one": tested, "two": {"reason": "why"}},
    }  # fmt: skip
    return json.dumps(whole)


def audit(**names: str) -> dict[str, Any]:
    """The audit, with other names for its judges (one, two), its strata (easy, hard) and its reason (why)."""
    text = written()
    for name, other in names.items():
        text = text.replace(json.dumps(name), json.dumps(other))
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def hostile(name: str) -> dict[str, Any]:
    return audit(one=name, two=f"{name}2", easy=f"{name}3", hard=f"{name}4", why=f"{name}5")


def bare() -> dict[str, Any]:
    """An audit in which everything that may be missing is."""
    whole = audit()
    del whole["by_judge"]["two"]
    once = {"items": 0, "first_both": 0, "second_both": 0, "consistency": None, "fairness": None, "first_slot": None}
    people = {"left_out": None, "pairwise": None, "kappa": None, "alpha": None}
    whole["by_judge"]["one"] |= {"position": once, "length": None, "calibration": None, "kept": [], "stability": None}
    missing = dict.fromkeys(["anchored", "selective", "ppi", "budget", "longer", "people_longer"])
    empty = {"strata": {}, "alternative": {}, "no_verdicts": {}, "notes": [], "warnings": [], "people": people}
    return (
        whole
        | missing
        | empty
        | {"judges": ["one"], "people_longer_interval": None, "position": once, "calibration": None}
    )


class Seen(HTMLParser):
    """The page's elements with their attributes, its text, and what stands under each second-level heading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.words: list[str] = []
        self.heading = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.lasttag == "h2" and data.strip():
            self.heading = data
            self.sections.setdefault(data, "")
        elif self.heading:
            self.sections[self.heading] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        self.lasttag = tag if tag != "h2" else ""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    text = page(hostile(name), nothing)
    seen = Seen(text)
    assert {tag for tag, _ in seen.elements} <= ELEMENTS
    assert {name for _, attributes in seen.elements for name in attributes} <= ATTRIBUTES
    assert all(
        any(part in words for words in seen.words) for part in (shown(name), *(f"{shown(name)}{n}" for n in "2345"))
    )
    assert all(c in "\n\xa0" or c.isprintable() for c in text)
    text.encode("utf-8")


def test_nothing_is_fetched_and_nothing_runs() -> None:
    text = page(audit(), nothing)
    assert not any(word in text for word in ("http:", "https:", "src=", "href=", "url(", "<script", "@import"))
    assert "default-src 'none'" in text


def test_what_is_there_has_its_section() -> None:
    assert list(Seen(page(audit(), nothing)).sections) == [
        "What speaks against it",
        "Agreement with people",
        "Confidence",
        "Does the order decide?",
        "Does length decide?",
        "By stratum",
        "Anchored on a few human labels",
        "How many labels?",
        "May it replace a person?",
        "Verdicts that are missing, and notes",
        "Words",
    ]


def test_what_is_missing_leaves_no_empty_heading_and_no_empty_figure() -> None:
    seen = Seen(page(bare(), nothing))
    assert list(seen.sections) == ["What speaks against it", "Agreement with people", "Words"]
    assert all(seen.sections.values())
    assert not {"None", "nan", "null"} & {word.strip(".,:") for words in seen.words for word in words.split()}


def test_the_questions_are_answered_at_the_top() -> None:
    text = page(audit(), nothing)
    asked = ("How good is the judge?", "Can I trust its confidence?", "Does order or length decide?",
             "How many labels do I need?", "What should I do now?")  # fmt: skip
    places = [text.index(question) for question in (*asked, "What speaks against it")]
    assert places == sorted(places)


def test_the_same_audit_gives_the_same_page() -> None:
    assert page(audit(), nothing) == page(audit(), nothing)


def test_without_altair_the_page_has_its_tables_and_says_how_to_get_the_plots() -> None:
    text = page(audit(), not_installed)
    assert text.count("pip install 'solon[audit]'".replace("'", "&#x27;")) == 1
    assert text.replace(text[text.index('<p class="soft">The plots') :].split("\n")[0], "") == page(audit(), nothing)


def test_with_pictures_they_stand_in_the_page_as_they_are() -> None:
    text = page(audit(), lambda _: {"accuracy": "<svg>seen</svg>"})
    assert "<figure><svg>seen</svg><figcaption>" in text
    assert "pip install" not in text


def drawn(whole: Mapping[str, Any]) -> dict[str, str]:
    for module in ("altair", "vl_convert"):
        pytest.importorskip(module, reason="plots are not installed: pip install 'solon[audit]'")
    return draw(whole)


def test_every_picture_is_drawn_and_the_same_again() -> None:
    first = drawn(audit())
    assert set(first) == PICTURES
    assert first == draw(audit())


def test_pictures_keep_hostile_names_as_text() -> None:
    pictures = drawn(audit(one=HOSTILE[0], two=HOSTILE[1], easy=HOSTILE[2], hard=HOSTILE[3]))
    for svg in pictures.values():
        assert "<script" not in svg
        assert " id=" not in svg  # ids of several pictures in one page would clash
        assert {tag for tag, _ in Seen(svg).elements} <= {"svg", "g", "rect", "path", "line", "text"}
    for name in ("&lt;/style&gt;&lt;script&gt;alert(1)", "__proto__", "datum[", "\\x1b[2J\\nb\\u202e\\x00\\ud800"):
        assert name in pictures["strata"], name


def test_judges_stand_from_best_to_worst_in_every_picture() -> None:
    whole, best_first = audit(), [f"judge-{number}" for number in (3, 1, 4, 0, 2)]
    same = whole["by_judge"]["one"]
    whole["by_judge"] = {name: same | {"accuracy": 0.9 - place / 10} for place, name in enumerate(best_first)}
    pictures = drawn(whole | {"by_judge": dict(sorted(whole["by_judge"].items())), "best_judge": "judge-3"})
    for name in ("accuracy", "position"):
        places = [pictures[name].index(f">{judge}<") for judge in best_first]
        assert places == sorted(places), name


def test_pictures_are_left_out_where_there_is_nothing_to_draw() -> None:
    assert set(drawn(bare())) == {"accuracy"}


def test_a_crowd_of_judges_is_cut_to_what_can_be_read() -> None:
    judges = tuple(f"judge-{number:02d}" for number in range(40))
    whole = audit()
    whole["by_judge"] = dict.fromkeys(judges, whole["by_judge"]["one"])
    svg = drawn(whole | {"judges": list(judges), "best_judge": "judge-00"})["accuracy"]
    assert svg.count(">judge-") == 30
