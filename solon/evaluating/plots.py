"""An evaluation's figures as pictures: Altair charts turned into SVG that stands in the page itself.

Names from files enter a chart as data only, under field names of our own: never as an expression, a field or a
title. Colours are the page's CSS variables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from solon.auditing.plots import JUDGE, OTHER, PEOPLE, SOFT, Chart, Row, by, looks, values
from solon.auditing.text import shown
from solon.evaluating.curves import CURVES, curve_rows, points_of
from trainer.evaluation.guards import Checked
from trainer.evaluation.overoptimisation import Point

WIDE, HIGH, SMALL = 560, 300, 165  # pixels: of a plot, and of one of many
STEP = 22  # of a row
BAD = "var(--bad, #b3261e)"
UNITS = {  # how each unit's axis is called, and how its figures are written
    "share": ("change in the share of completions", "+.0%"),
    "ratio": ("change of the figure", "+.2f"),
    "words": ("change in words", "+.0f"),
    "nats": ("nats per completion", "+.1f"),
    "reward": ("change of the reward", "+.2f"),
}
FALLING = ("rule_fall", "refused_unsafe")  # guards whose limit is on a fall: what is below it trips
ROOM = 0.06  # of an axis, beyond its outermost figure
LABELLED = 12  # points at the most, for each to have its name beside it


def draw(record: Mapping[str, Any]) -> dict[str, str]:
    """The pictures that an evaluation has figures for, as SVG by name: measures, previous, reward, training.

    Raises:
        ImportError: Altair or vl-convert is not installed.
    """
    points = points_of(record)
    previous = record["previous"]
    charts = {
        "measures": measures(record["measures"], record["guards"]),
        "previous": measures(previous["measures"], ()) if previous else None,
        "reward": against_kl(points) if len(points) > 1 else None,
        "training": curves(record["training"]["steps"]),
    }
    return {name: svg(chart) for name, chart in charts.items() if chart is not None}


def reward_against_kl(points: Sequence[Point]) -> str:
    """Reward, and what a judge says of it where one was asked, by the root of the distance from the base, as SVG."""
    return svg(against_kl(points))


def guards_by_round(rounds: Sequence[tuple[str, Sequence[Checked]]]) -> str:
    """Every guard's value and limit from round to round, a small plot each, as SVG."""
    return svg(guarded(rounds))


def svg(chart: Chart) -> str:
    import vl_convert

    header = {"labelFontSize": 12, "labelColor": "var(--ink, #1c2430)", "title": None}
    told = chart.configure(**looks() | {"header": header}).to_json()
    return str(vl_convert.vegalite_to_svg(told, allowed_base_urls=[]))


def measures(found: Sequence[Mapping[str, Any]], guards: Sequence[Mapping[str, Any]]) -> Chart | None:
    """A panel for each unit: every measure's change with its interval, and beyond its guard's limit a red field."""
    import altair as alt

    panels = [
        panel(unit, [measure for measure in found if measure["unit"] == unit], guards)
        for unit in UNITS
        if any(measure["unit"] == unit for measure in found)
    ]
    return alt.vconcat(*panels, spacing=14) if panels else None


def panel(unit: str, found: Sequence[Mapping[str, Any]], guards: Sequence[Mapping[str, Any]]) -> Chart:
    import altair as alt

    title, form = UNITS[unit]
    names = {measure["name"]: {"name": labelled(measure), "rank": rank} for rank, measure in enumerate(found)}
    limits = [g for g in guards if g["measure"] in names and g["difference"] is not None]
    ends = [0.0, *(m[e] for m in found for e in ("low", "high", "difference")), *(g["difference"] for g in limits)]
    room = ROOM * (max(ends) - min(ends) or 1.0)
    low, high = min(ends) - room, max(ends) + room
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    axis = alt.Axis(format=form, tickCount=6)
    tripped = {guard["measure"] for guard in limits if guard["tripped"]}
    rows = [names[measure["name"]] | extent(measure, measure["name"] in tripped) for measure in found]
    y = alt.Y("name:N", sort=by("rank"), title=None, axis=alt.Axis(labelLimit=260, ticks=False, domain=False))
    base = alt.Chart(values(rows)).encode(y=y, color=alt.Color("colour:N", scale=None))
    x = alt.X("low:Q", title=title, scale=scale, axis=axis)
    whiskers = base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("value:Q", scale=scale))
    zero = alt.Chart(values([{"at": 0}])).mark_rule(color=SOFT, strokeDash=[4, 3]).encode(x=alt.X("at:Q", scale=scale))
    fields = [names[guard["measure"]] | forbidden(guard, (low, high)) for guard in limits]
    layers = [zero, whiskers, points]
    if fields:
        beyond = alt.Chart(values(fields)).encode(y=y, x=alt.X("low:Q", scale=scale), x2="high:Q")
        edge = alt.Chart(values(fields)).encode(y=y, x=alt.X("at:Q", scale=scale))
        layers = [beyond.mark_rect(color=BAD, opacity=0.16), edge.mark_tick(color=BAD, thickness=2, size=STEP), *layers]
    return alt.layer(*layers).properties(width=WIDE, height=alt.Step(STEP))


def labelled(measure: Mapping[str, Any]) -> str:
    note = f" ({shown(measure['note'], 24)})" if measure.get("note") else ""
    return shown(measure["name"]) + note


def extent(measure: Mapping[str, Any], tripped: bool) -> Row:
    colour = BAD if tripped else JUDGE
    return {"value": measure["difference"], "low": measure["low"], "high": measure["high"], "colour": colour}


def forbidden(guard: Mapping[str, Any], ends: tuple[float, float]) -> Row:
    """Where the guard trips: from its limit to the end of the axis."""
    at = guard["difference"]
    below = guard["least"] or guard["guard"] in FALLING
    low, high = (ends[0], at) if below else (at, ends[1])
    return {"low": low, "high": high, "at": at}


def against_kl(points: Sequence[Point]) -> Chart:
    import altair as alt

    rows = [asdict(point) | {"x": point.root_kl, "name": shown(point.name, 24)} for point in points]
    x = alt.X("x:Q", title="root of the distance from the base (√nats)", scale=alt.Scale(zero=True), axis=alt.Axis())
    upper = trail(rows, x, "reward", "reward", JUDGE)
    judged = [row for row in rows if row["judged"] is not None]
    if len(judged) < 2:
        return upper
    return alt.vconcat(upper, trail(judged, x, "judged", "win rate by the judge", OTHER), spacing=16)


def trail(rows: Sequence[Row], x: Any, figure: str, title: str, colour: str) -> Chart:
    """The points in the order of training, joined, the later the darker."""
    import altair as alt

    most = max(row["at"] for row in rows) or 1
    shaded = [row | {"value": row[figure], "shade": 0.25 + 0.75 * row["at"] / most} for row in rows]
    form = ".0%" if figure == "judged" else ".2f"
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(format=form, tickCount=5))
    base = alt.Chart(values(shaded)).encode(x=x, y=y)
    line = base.mark_line(color=SOFT, strokeWidth=1, opacity=0.6).encode(order="at:Q")
    dots = base.mark_point(color=colour, filled=True, size=60).encode(opacity=alt.Opacity("shade:Q", scale=None))
    layers = [line, dots]
    if len(rows) <= LABELLED:
        layers.append(base.mark_text(align="left", dx=7, dy=-7, color=SOFT, fontSize=11).encode(text="name:N"))
    return alt.layer(*layers).properties(width=WIDE, height=HIGH // 2 if figure == "judged" else HIGH)


def curves(steps: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Each of a training's figures by its steps, a small plot each."""
    import altair as alt

    rows = curve_rows(steps)
    if len(steps) < 2 or not rows:
        return None
    x = alt.X("step:Q", title="step", axis=alt.Axis(tickCount=4, tickMinStep=1, format="d"))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4))
    base = alt.Chart(values(rows)).mark_line(color=JUDGE, strokeWidth=1.5).encode(x=x, y=y)
    return many(base.properties(width=SMALL, height=SMALL // 2), rows)


def guarded(rounds: Sequence[tuple[str, Sequence[Checked]]]) -> Chart:
    import altair as alt

    order: dict[str, int] = {}
    rows: list[Row] = []
    for at, (name, guards) in enumerate(rounds):
        for guard in guards:
            figure = f"{guard.guard.replace('_', ' ')}: {shown(guard.measure, 32)}"
            rank = order.setdefault(figure, len(order))
            rows.append(
                {"figure": figure, "rank": rank, "round": shown(name, 16), "at": at, "value": guard.value,
                 "limit": guard.limit, "colour": BAD if guard.tripped else JUDGE}
            )  # fmt: skip
    x = alt.X("round:O", title="round", sort=by("at"), axis=alt.Axis(labelAngle=0))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False, padding=6), axis=alt.Axis(tickCount=4))
    base = alt.Chart().encode(x=x)
    line = base.mark_line(color=SOFT, strokeWidth=1).encode(y=y, order="at:Q")
    dots = base.mark_point(filled=True, size=50, opacity=1).encode(y=y, color=alt.Color("colour:N", scale=None))
    limit = alt.Chart().mark_rule(color=PEOPLE, strokeDash=[5, 3], strokeWidth=1.5).encode(y="mean(limit):Q")
    return many(alt.layer(line, dots, limit, data=values(rows)).properties(width=SMALL, height=SMALL // 2), rows)


def many(chart: Chart, rows: Sequence[Row]) -> Chart:
    """The chart once for every ``figure`` in its data, ``CURVES`` beside each other, each with its own height."""
    import altair as alt

    columns = min(CURVES, len({row["figure"] for row in rows}))
    facet = alt.Facet("figure:N", sort=by("rank"), header=alt.Header(title=None, labelLimit=SMALL + 30))
    return chart.facet(facet=facet, columns=columns).resolve_scale(y="independent").resolve_axis(x="independent")
