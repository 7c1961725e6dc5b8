"""What a run made: its preference pairs page by page, the history of a row, the report."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from starlette.convertors import PathConvertor, register_url_convertor

from judge.pairs import PreferencePair
from solon.journal import Journal
from solon.pipeline import Row, dump_row, load_row
from solon.show import rows_beginning, rows_named, tell
from solon.web.door.faults import Fault
from solon.web.door.gates import Adjudicator, RunHere
from solon.web.door.slow import slowly
from solon.web.served import Served

MOST_ROWS = 2000  # read for one page: a filter that few pairs pass says how far it has looked
MOST_TOLD = 5  # rows in whose history one id occurs


class AnyId(PathConvertor):
    """People name their prompts as they like: a name may hold a slash, or a line break."""

    regex = r"[\s\S]*"


register_url_convertor("any_id", AnyId())
router = APIRouter(prefix="/{run}")


@dataclass(frozen=True, slots=True)
class Side:
    """A completion of a pair."""

    id: str
    text: str
    revised_under: str  # the principle; empty for a draft
    flags: tuple[str, ...]  # kinds of manipulation that its text looks like


@dataclass(frozen=True, slots=True)
class PairTold:
    id: str
    prompt_id: str
    prompt: str
    chosen: Side
    rejected: Side
    p_chosen: float
    margin: float
    label_source: str
    decided_by: tuple[str, ...]
    orders_agree: bool | None


@dataclass(frozen=True, slots=True)
class PairPage:
    pairs: tuple[PairTold, ...]
    after: str | None  # where the next page begins; None at the end
    looked_at: int  # rows, of this page
    rows: int  # in all
    principles: tuple[str, ...]  # of the last session, to choose from


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pairs to show."""

    principle: str = ""
    flagged: bool = False
    disagreement: bool = False

    def fits(self, pair: PreferencePair, row: Row) -> bool:
        sides = {pair.chosen.id, pair.rejected.id}
        return (
            (not self.principle or self.principle in pair.decided_by)
            and (not self.disagreement or pair.orders_agree is False)
            and (not self.flagged or any(flagged.candidate in sides for flagged in row.flags))
        )


@dataclass(frozen=True, slots=True)
class History:
    """Everything about an id: as `solon show` tells it, and the rows as they are kept."""

    text: str
    rows: list[Any]


@router.get("/results", response_model=PairPage)
async def results(
    _: Adjudicator,
    served: RunHere,
    *,
    after: Annotated[str, Query(max_length=1000)] = "",
    size: Annotated[int, Query(ge=1, le=100)] = 20,
    principle: Annotated[str, Query(max_length=1000)] = "",
    flagged: bool = False,
    disagreement: bool = False,
) -> Response:
    """Preference pairs, ordered by the id of their prompt; `after` is the prompt that the page before ended with."""
    wanted = Wanted(principle, flagged, disagreement)

    def found() -> Response:
        with journal_of(served) as journal:
            return reply(page(journal, wanted, after, size, principles_of(served)))

    return await slowly(found)


def reply(what: PairPage | History) -> Response:
    """As JSON in ASCII: a model may have written halves of a character, which are no UTF-8."""
    return Response(json.dumps(asdict(what), ensure_ascii=True), media_type="application/json")


def page(journal: Journal, wanted: Wanted, after: str, size: int, principles: tuple[str, ...]) -> PairPage:
    """Whole rows until the page is full: the pairs of one prompt are never torn apart."""
    prompts = sorted(journal.recipes())
    left = [prompt for prompt in prompts if prompt > after] if after else prompts
    pairs: list[PairTold] = []
    looked = 0
    for row in rows_of(journal, left[:MOST_ROWS]):
        looked += 1
        pairs += [told(pair, row) for pair in row.pairs if wanted.fits(pair, row)]
        if len(pairs) >= size:
            break
    end = left[looked - 1] if 0 < looked < len(left) else None
    return PairPage(tuple(pairs), end, looked, len(prompts), principles)


def rows_of(journal: Journal, prompts: list[str]) -> Iterator[Row]:
    """A few at a time, as most pages are full soon."""
    left = iter(prompts)
    while some := list(islice(left, 25)):
        try:
            yield from map(load_row, journal.bodies(some))
        except KeyError:
            fact = "a session that goes on with the run has just forgotten rows, and makes them anew"
            raise Fault(409, fact, "look again when they are there") from None


def told(pair: PreferencePair, row: Row) -> PairTold:
    def side(chosen: bool) -> Side:
        candidate = pair.chosen if chosen else pair.rejected
        flags = tuple(sorted({flagged.flag for flagged in row.flags if flagged.candidate == candidate.id}))
        return Side(candidate.id, candidate.text, candidate.principle or "" if candidate.is_revision else "", flags)

    return PairTold(
        pair.id, pair.prompt.id, pair.prompt.text, side(True), side(False), pair.p_chosen, pair.margin,
        pair.label_source, pair.decided_by, pair.orders_agree,
    )  # fmt: skip


def principles_of(served: Served) -> tuple[str, ...]:
    return tuple(principle.id for principle in served.folder.principles().principles)


@router.get("/rows/{id:any_id}", response_model=History)
async def history(_: Adjudicator, served: RunHere, id: str) -> Response:
    """The whole history of a prompt, candidate, pair or drop, by its id or the beginning of it."""
    if not 0 < len(id) <= 1000 or "\0" in id:
        raise Fault(404, "there is no such row", "take an id from the results")
    return await slowly(lambda: reply(history_of(served, id)))


def history_of(served: Served, name: str) -> History:
    with journal_of(served) as journal:
        rows = rows_named(journal, name, MOST_TOLD + 1) or rows_beginning(journal, name, MOST_TOLD + 1)
    constitution = served.folder.principles()
    texts = [tell(row, constitution) for row in rows[:MOST_TOLD]]
    if len(rows) > MOST_TOLD:
        texts.append("and more rows: give more of the id")
    return History("\n\n\n".join(texts), [json.loads(dump_row(row)) for row in rows[:MOST_TOLD]])


@router.get("/report", response_class=PlainTextResponse)
def report(_: Adjudicator, served: RunHere) -> PlainTextResponse:
    """The report of the last session, as it lies in the run's folder."""
    try:
        return PlainTextResponse(served.folder.report.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise Fault(404, "there is no report yet", "the run writes it at its end") from None


def journal_of(served: Served) -> Journal:
    if not served.begun:
        raise Fault(404, "the run has not begun, so there are no rows", "start it first")
    return Journal.open(served.folder.journal, read_only=True)
