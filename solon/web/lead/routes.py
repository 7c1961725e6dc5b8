"""The lead's part of the API: the state of the work, disputes, the guidelines, and further rounds.

Nothing of it is for annotators, who must not know what others say, or what is thought of them.
"""

from functools import partial
from subprocess import SubprocessError
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from judge.review.records import shown_choice
from solon.folder import RunFolder
from solon.journal import Journal
from solon.review.drawing import DrawAsked, RoundTold
from solon.review.errors import InHand
from solon.review.labels import labels_csv
from solon.review.lead.apart import Draw
from solon.review.lead.desk import AiLabel, Desk, Looked, ai_label, look, side_for
from solon.review.lead.disputes import Dispute
from solon.review.lead.figures import Asked
from solon.review.records import Annotator as Labeller
from solon.review.records import Decision, Guidelines
from solon.show import rows_named
from solon.web.door.faults import Fault, Told, log
from solon.web.door.gates import Adjudicator, Admin, Here, RunHere
from solon.web.door.slow import slowly
from solon.web.lead.measuring import Figures
from solon.web.lead.shapes import Deciding, Drawing, Dropping, ItemShown, Summary, VersionOfGuidelines, Writing, shown
from solon.web.served import Served
from solon.web.site import Site

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox"
WAITING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<title>The audit is being made</title></head><body><p>The page is being made, and appears here by itself.</p></body>
</html>
"""
FAULTS: dict[int | str, dict[str, Any]] = {status: {"model": Told} for status in (400, 401, 403, 404)}

router = APIRouter(prefix="/api/runs/{run}/lead", tags=["lead"], responses=FAULTS)
Item = Annotated[str, Path(min_length=1, max_length=200)]


@router.get("/summary", response_model_exclude={"figures": {"measured": {"audit"}}})
def summary(_: Adjudicator, here: Here, served: RunHere) -> Summary:
    """The state of the work. Figures that take long are of the time ``figures.at``, and are made anew meanwhile."""
    now, seen = here.clock(), desk_of(served, here)
    queue = seen.disputes()
    decided = sum(one.decided is not None for one in queue)
    return Summary(
        served.name, now, seen.progress(now), len(queue) - decided, decided, seen.annotators, seen.rounds,
        seen.guidelines, seen.by_version(), figures_of(served, here, seen),
    )  # fmt: skip


@router.get("/audit")
def audit(_: Adjudicator, here: Here, served: RunHere) -> Figures:
    """Every figure of ``solon audit`` for the labels so far, as of ``at``."""
    return figures_of(served, here, desk_of(served, here))


@router.get("/audit.html", response_class=Response, responses={202: {"description": "The page is being made"}})
def audit_page(_: Adjudicator, here: Here, served: RunHere) -> Response:
    """The same as one page that fetches nothing and runs nothing; while it is made, a page that comes again."""
    figures = figures_of(served, here, desk_of(served, here))
    page = here.measuring.page(served.folder.path)
    if page is None and not figures.working:
        raise Fault(404, "there is no audit yet", "label some items, and come again in a minute")
    if page and page.failed:
        raise Fault(409, "the page could not be made", "whoever runs the service finds why in its output")
    if page is None or not page.text:
        return Response(WAITING, 202, {"Retry-After": "3"}, "text/html")
    return Response(page.text, media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})


def desk_of(served: Served, site: Site) -> Desk:
    return site.measuring.look(served.folder.path, served.store)


def figures_of(served: Served, site: Site, seen: Desk) -> Figures:
    def ask() -> Asked:
        return Asked(served.folder.path, seen.labels, seen.known(), labels_csv(served.store))

    state = seen.state, journal_state(served.folder)
    return site.measuring.figures(served.folder.path, state, ask, site.clock())


def journal_state(folder: RunFolder) -> tuple[int, ...]:
    """Another one where the run has gone on; -1 for a file that is not there."""

    def of(name: str, part: str) -> int:
        try:
            return int(getattr((folder.path / name).stat(), part))
        except OSError:
            return -1

    wal = max(0, of("journal.db-wal", "st_size"))  # its time changes when somebody only reads
    return of("summary.json", "st_mtime_ns"), of("journal.db", "st_mtime_ns"), of("journal.db", "st_size"), wal


@router.get("/disputes")
def disputes(member: Adjudicator, here: Here, served: RunHere) -> tuple[Dispute, ...]:
    """Items on which people differ, or that one of them flagged; those still to be decided first, the gravest first.

    Without the one that this adjudicator is about to label.
    """
    own = served.store.in_hand(member.name, here.clock())
    return tuple(one for one in desk_of(served, here).disputes() if one.item != own)


@router.get("/items/{item}")
def item(member: Adjudicator, here: Here, served: RunHere, item: Item) -> ItemShown:
    """The item as annotators saw it, with what they said; not a word of the judges."""
    return shown(looked(served, here, item, member.name))


@router.get("/items/{item}/verdicts")
def verdicts(member: Adjudicator, here: Here, served: RunHere, item: Item) -> AiLabel:
    """What the run's judges said of it, sides as in the item."""
    seen = looked(served, here, item, member.name)
    with Journal.open(served.folder.journal, read_only=True) as journal:
        found = ai_label(rows_named(journal, seen.task.prompt_id), item, seen.side)
    if found is None:
        raise Fault(404, "the run has no verdict on this item", "decide without one")
    return found


@router.put("/items/{item}/decision")
def decide(member: Adjudicator, here: Here, served: RunHere, item: Item, said: Deciding) -> ItemShown:
    """Settles the item: the decision wins over every label. The last one holds."""
    looked(served, here, item, member.name)
    choice = shown_choice(said.choice, side_for(item, member.name))
    served.store.decide(Decision(item, choice, member.name, said.rationale, here.clock()))
    return shown(looked(served, here, item, member.name))


def looked(served: Served, site: Site, item: str, name: str) -> Looked:
    """
    Raises:
        Unknown: the item was never drawn.
        InHand: whoever asks is about to label it.
    """
    if served.store.in_hand(name, site.clock()) == item:
        raise InHand
    return look(served.store, item, name)


@router.get("/labels.csv", response_class=Response)
def labels(_: Adjudicator, served: RunHere) -> Response:
    """All labels that count, as ``solon audit`` and ``solon export`` read them."""
    headers = {"Content-Disposition": 'attachment; filename="labels.csv"'}
    return Response(labels_csv(served.store), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/guidelines")
def guidelines(_: Adjudicator, here: Here, served: RunHere) -> tuple[VersionOfGuidelines, ...]:
    """Every version, the newest first, with how many labels were made under it."""
    made, versions = desk_of(served, here).by_version(), served.store.guideline_versions()
    return tuple(VersionOfGuidelines(one, made.get(one.version, 0)) for one in reversed(versions))


@router.put("/guidelines")
def write_guidelines(member: Admin, here: Here, served: RunHere, written: Writing) -> Guidelines:
    """A new version, which annotators are shown before their next label is saved."""
    return served.store.set_guidelines(written.text, member.name, here.clock())


@router.patch("/annotators/{name}")
def drop(
    member: Admin, here: Here, served: RunHere, name: Annotated[str, Path(max_length=200)], wanted: Dropping
) -> tuple[Labeller, ...]:
    """Leaves somebody's labels out of every figure and export, or takes them in again. Nothing is deleted."""
    if name not in {one.name for one in served.store.annotators()}:
        raise Fault(404, "nobody of this name has labelled here", "look at the list of annotators")
    served.store.set_dropped(name, wanted.dropped, by=member.name, at=here.clock())
    return served.store.annotators()


@router.post("/draw")
async def draw(_: Admin, here: Here, served: RunHere, wanted: Drawing) -> RoundTold:
    """Draws more items for people to see."""
    asked = DrawAsked(
        n=wanted.n, policy=wanted.policy, overlap=wanted.overlap, overlap_share=wanted.overlap_share,
        audit_share=wanted.audit_share,
    )  # fmt: skip
    try:
        return await slowly(partial(here.measuring.draw, Draw(served.folder.path, asked, here.clock())))
    except (SubprocessError, OSError) as error:
        log(error)
        raise Fault(409, "the round could not be drawn", "whoever runs the service finds why in its output") from None
