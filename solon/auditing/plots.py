"""An audit's figures as pictures: Altair charts turned into SVG that stands in the page itself.

Texts from files enter a chart as data only, under field names of our own: never as an expression, a field or a
title. Colours are the page's CSS variables, so the pictures follow its light and dark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from solon.auditing.text import best, by_accuracy, ceiling, shown

Record: TypeAlias = Mapping[str, Any]
Row: TypeAlias = dict[str, Any]
Chart: TypeAlias = Any  # Altair's charts are of many types, and Altair need not be there

MOST_JUDGES, MOST_STRATA, MOST_COLUMNS = 30, 30, 8
WIDE, HIGH, STEP = 520, 300, 21  # pixels: of a plot, and of a row of one
NAME = 300  # pixels of a judge's name before it is cut
JUDGE, OTHER, PEOPLE = "var(--judge, #0072b2)", "var(--other, #009e73)", "var(--people, #d55e00)"
INK, SOFT, LINE = "var(--ink, #1c2430)", "var(--soft, #5b6675)", "var(--line, #d8dde3)"
SLOTS = "datum.value < 0 ? 'to the second slot' : datum.value > 0 ? 'to the first' : ''"


@dataclass(frozen=True, slots=True)
class Across:
    """The horizontal axis of a plot of dots."""

    title: str
    low: float
    high: float = 1.0
    wide: int = WIDE
    slots: bool = False  # -1 is the second slot and 1 the first; else values are shares
    named: bool = True  # whether the rows' names stand beside it


def draw(audit: Record) -> dict[str, str]:
    """The pictures that the audit has figures for, as SVG by name: accuracy, reliability, coverage, position, strata.

    Raises:
        ImportError: Altair or vl-convert is not installed.
    """
    import vl_convert

    drawers = (accuracy, reliability, coverage, position, strata)
    charts = {drawer.__name__: drawer(audit) for drawer in drawers}
    return {
        name: vl_convert.vegalite_to_svg(chart.configure(**looks()).to_json(), allowed_base_urls=[])
        for name, chart in charts.items()
        if chart is not None
    }


def looks() -> dict[str, Any]:
    text = {
        "labelColor": INK,
        "titleColor": SOFT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    return {
        "aria": False,  # the page says in words what a picture shows
        "background": "transparent",
        "font": "sans-serif",
        "view": {"stroke": None},
        "axis": text | {"gridColor": LINE, "domainColor": LINE, "tickColor": LINE},
        "legend": text | {"orient": "top", "title": None, "symbolStrokeWidth": 2},
    }


def accuracy(audit: Record) -> Chart | None:
    """Each judge's agreement with people, beside people's among themselves and "always the longer"."""
    rows = [
        interval_row(name, rank, judge, "accuracy")
        for rank, (name, judge) in enumerate(by_accuracy(audit)[:MOST_JUDGES])
        if judge["accuracy"] is not None
    ]
    if not rows:
        return None
    people = ceiling(audit["people"])
    lines = [interval_row("people among themselves", 0, audit["people"], people)] if people else []
    lines += [interval_row("always the longer", 1, audit, "longer")] if audit["longer"] is not None else []
    return dots(rows, Across("agreement with people", lowest([*rows, *lines])), lines)


def position(audit: Record) -> Chart | None:
    """Per judge: the share with the same choice in both orders, and the slot it leans to where not."""
    import altair as alt

    asked = [(name, judge["position"]) for name, judge in by_accuracy(audit) if judge["position"]["items"]]
    if not asked:
        return None
    same, lean = (
        [interval_row(name, rank, record, figure) for rank, (name, record) in enumerate(asked[:MOST_JUDGES])]
        for figure in ("consistency", "fairness")
    )
    left = dots(same, Across("same choice in both orders", 0.0, wide=250))
    right = dots(lean, Across("leans, where not the same", -1.0, wide=220, slots=True, named=False))
    return alt.hconcat(left, right, spacing=36)


def strata(audit: Record) -> Chart | None:
    """Agreement by stratum: of one judge with its intervals, of several as a table in shades."""
    parts = sorted((audit["strata"] or {}).items())[:MOST_STRATA]
    judges = [name for name, _ in by_accuracy(audit)][:MOST_COLUMNS]
    rows = [
        interval_row(stratum, rank, part["judges"][judge], "accuracy") | {"column": shown(judge, 200), "at": at}
        for rank, (stratum, part) in enumerate(parts)
        for at, judge in enumerate(judges)
        if (part["judges"].get(judge) or {}).get("accuracy") is not None
    ]
    if not rows:
        return None
    return dots(rows, Across("agreement with people", lowest(rows))) if len(judges) == 1 else shades(rows)


def reliability(audit: Record) -> Chart | None:
    """What the best judge says of its chances against what people bear out, before and after calibration."""
    import altair as alt

    judge = best(audit)
    calibration = judge and judge["calibration"]
    if not calibration:
        return None
    rows = [
        {"x": part["confidence"], "y": part["agreement"], "n": part["n"], "kind": kind}
        for kind, when in (("as stated", "before"), ("calibrated", "after"))
        for part in calibration[when]["curve"]
    ]
    low = int(10 * min(0.5, *(row["y"] for row in rows))) / 10
    x = alt.X("x:Q", title=None, scale=between(0.5), axis=percents())
    y = alt.Y("y:Q", title="agreement with people", scale=between(low), axis=percents())
    kinds = alt.Scale(domain=["as stated", "calibrated"], range=[JUDGE, OTHER])
    base = alt.Chart(values(rows)).encode(x=x, color=alt.Color("kind:N", scale=kinds))
    ends = values([{"x": 0.5, "y": 0.5}, {"x": 1.0, "y": 1.0}])
    diagonal = alt.Chart(ends).mark_line(color=SOFT, strokeDash=[4, 3]).encode(x=x, y=y)
    curves = base.mark_line(strokeWidth=1.5, point=alt.OverlayMarkDef(size=60)).encode(y=y)
    counts = base.mark_rule(strokeWidth=6, opacity=0.6).encode(
        x=alt.X("x:Q", title="stated confidence", scale=between(0.5), axis=percents()),
        y=alt.Y("n:Q", title="items", axis=alt.Axis(tickCount=3, tickMinStep=1, format=",d")), y2=alt.datum(0),
    )  # fmt: skip
    upper = alt.layer(diagonal, curves).properties(width=WIDE, height=HIGH)
    return alt.vconcat(upper, counts.properties(width=WIDE, height=60), spacing=12)


def coverage(audit: Record) -> Chart | None:
    """Agreement of the best judge where only its surer items are kept, with the ceiling and the chosen threshold."""
    import altair as alt

    judge = best(audit)
    if judge is None or len(judge["kept"]) < 2:
        return None
    rows = [interval_row("", 0, kept, "agreement") | {"x": kept["coverage"]} for kept in judge["kept"]]
    people, name, selective = audit["people"], ceiling(audit["people"]), audit["selective"]
    chosen = selective is not None and selective.get("agreement") is not None
    kept_shares = [row["x"] for row in rows] + ([selective["accepted_share"]] if chosen else [])
    low = lowest([*rows, *([interval_row("", 0, selective, "agreement")] if chosen else [])])
    x = alt.X("x:Q", title="share of the items kept, the surest first", axis=percents(),
              scale=between(0.5 if min(kept_shares) >= 0.5 else 0.0))  # fmt: skip
    y = alt.Y("value:Q", title="agreement with people", scale=between(low), axis=percents())
    base = alt.Chart(values(rows)).encode(x=x)
    curve = base.mark_line(color=JUDGE, point=alt.OverlayMarkDef(color=JUDGE, size=45)).encode(y=y)
    layers = [base.mark_area(color=JUDGE, opacity=0.2).encode(y=alt.Y("low:Q", scale=y["scale"]), y2="high:Q"), curve]
    if name:
        layers += level(y, people[name], PEOPLE, "people among themselves")
    if selective:
        layers += level(y, 1 - selective["alpha"], SOFT, "promised where labels are accepted")
    if chosen:
        accepted = interval_row("", 0, selective, "agreement") | {"x": selective["accepted_share"]}
        layers += spot(x, y, accepted, f"anchored, {selective['threshold']:.2f} or surer")
    return alt.layer(*layers).properties(width=WIDE, height=HIGH)


def dots(rows: Sequence[Row], across: Across, lines: Sequence[Row] = ()) -> Chart:
    """A row each with its value and interval, on top of upright ``lines`` with theirs, which a legend names."""
    import altair as alt

    names = alt.Axis(labelLimit=NAME, ticks=False, domain=False) if across.named else None
    axis = alt.Axis(values=[-1, 0, 1], labelExpr=SLOTS, labelFlush=True) if across.slots else percents()
    scale = alt.Scale(domain=[across.low, across.high], nice=False, zero=False)
    x = alt.X("low:Q", title=across.title, scale=scale, axis=axis)
    base = alt.Chart(values(rows)).encode(
        y=alt.Y("name:N", sort=by("rank"), title=None, axis=names), opacity=alt.Opacity("seen:Q", scale=None)
    )
    whiskers = base.mark_rule(color=JUDGE, strokeWidth=2).encode(x=x, x2="high:Q")
    points = base.mark_point(color=JUDGE, filled=True, size=70).encode(x=alt.X("value:Q", scale=scale))
    layers = [*bands(lines, x), whiskers, points]
    if across.slots:
        even = alt.Chart(values([{"value": 0}])).mark_rule(color=SOFT, strokeDash=[4, 3])
        layers.insert(0, even.encode(x=alt.X("value:Q", scale=scale)))
    return alt.layer(*layers).properties(width=across.wide, height=alt.Step(STEP))


def bands(lines: Sequence[Row], x: Any) -> list[Chart]:
    import altair as alt

    if not lines:
        return []
    names = [row["name"] for row in lines]
    colours = alt.Scale(domain=names, range=[SOFT if row["rank"] else PEOPLE for row in lines])
    base = alt.Chart(values(lines)).encode(
        color=alt.Color("name:N", scale=colours, legend=alt.Legend(symbolOpacity=0.7))
    )
    middle = base.mark_rule(strokeWidth=2, strokeDash=[6, 3]).encode(x=alt.X("value:Q", scale=x["scale"]))
    return [base.mark_rect(opacity=0.15).encode(x=x, x2="high:Q"), middle]


def shades(rows: Sequence[Row]) -> Chart:
    """A cell for each of ``rows``, deeper where its value is higher, with the value in it."""
    import altair as alt

    tilted = alt.Axis(labelAngle=-35, labelLimit=NAME, orient="bottom")
    base = alt.Chart(values(rows)).encode(
        x=alt.X("column:N", sort=by("at"), title=None, axis=tilted),
        y=alt.Y("name:N", sort=by("rank"), title=None, axis=alt.Axis(labelLimit=NAME)),
    )
    depth = alt.Opacity("value:Q", scale=alt.Scale(domain=[0, 1], range=[0.02, 0.6]), legend=None)
    cells = base.mark_rect(color=JUDGE).encode(opacity=depth)
    told = base.mark_text(color=INK, fontSize=12).encode(text=alt.Text("value:Q", format=".0%"))
    return (cells + told).properties(width=alt.Step(64), height=alt.Step(30))


def level(y: Any, at: float, colour: str, words: str) -> list[Chart]:
    """A line across at a height of the axis ``y``, with words on it."""
    import altair as alt

    base = alt.Chart(values([{"value": at, "words": words}])).encode(y=y)
    told = base.mark_text(align="left", dx=4, dy=-6, color=colour, fontSize=11).encode(x=alt.value(0), text="words:N")
    return [base.mark_rule(color=colour, strokeDash=[6, 3], strokeWidth=2), told]


def spot(x: Any, y: Any, row: Row, words: str) -> list[Chart]:
    """A single point with its interval, and words beside it, on the side where there is room."""
    import altair as alt

    base = alt.Chart(values([row | {"words": words}])).encode(x=x)
    arm = base.mark_rule(color=OTHER, strokeWidth=2).encode(y=alt.Y("low:Q", scale=y["scale"]), y2="high:Q")
    point = base.mark_point(color=OTHER, filled=True, size=90, shape="diamond", opacity=1).encode(y=y)
    if row["x"] > 0.5:
        told = base.mark_text(align="right", dx=-8, color=OTHER, fontSize=11)
    else:
        told = base.mark_text(align="left", dx=8, color=OTHER, fontSize=11)
    return [arm, point, told.encode(y=y, text="words:N")]


def interval_row(name: str, rank: int, record: Record, figure: str) -> Row:
    """A row of a plot; one without the figure is not seen, but keeps its place."""
    low, high = record.get(f"{figure}_interval") or (0, 0)
    there = record.get(figure)
    return {"name": shown(name, 200), "rank": rank, "value": there or 0, "low": low, "high": high,
            "seen": int(there is not None)}  # fmt: skip


def lowest(rows: Sequence[Row]) -> float:
    """Where an axis of shares may begin: a tenth at or below every interval, at most one half."""
    return int(10 * min(0.5, *(row["low"] for row in rows))) / 10


def values(rows: Sequence[Row]) -> Row:
    """A chart's data."""
    return {"values": list(rows)}


def by(field: str) -> Any:
    """Sorted by a field of numbers: a list of names would enter an expression."""
    import altair as alt

    return alt.EncodingSortField(field=field, op="min", order="ascending")


def between(low: float) -> Any:
    import altair as alt

    return alt.Scale(domain=[low, 1], nice=False, zero=False)


def percents() -> Any:
    import altair as alt

    return alt.Axis(format=".0%", tickCount=6)
