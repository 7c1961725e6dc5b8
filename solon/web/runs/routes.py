"""The runs of the service: what they came to, live figures, start and pause."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, StrictBool

from constitution.errors import SolonError
from solon.web.door.faults import log
from solon.web.door.gates import Adjudicator, Admin, Annotator, Here, Member, RunHere
from solon.web.door.streams import StreamHere
from solon.web.runs import results
from solon.web.runs.hub import Hub
from solon.web.runs.live import RunFacts
from solon.web.runs.process import pause
from solon.web.runs.standing import standing
from solon.web.served import Served

STREAM = 300.0  # seconds after which a listener has to come again, and is looked at anew by the gates
UNREADABLE = "its files cannot be read; whoever runs the service finds why in its output"

router = APIRouter(prefix="/api/runs", tags=["runs"])
router.include_router(results.router)


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run in the list. Figures are for adjudicators and admins."""

    name: str
    state: str
    fault: str = ""
    done: int | None = None
    prompts: int | None = None
    pairs: int | None = None


class StartAsked(BaseModel):
    """All that a request may say about a start: keys and addresses are the server's and the config's."""

    model_config = ConfigDict(extra="forbid")
    accept_changes: StrictBool = False


@router.get("")
def runs(member: Annotator, site: Here) -> list[ListedRun]:
    """The runs that you may see."""
    return [listed(served, member, site.hub) for served in site.runs().values() if member.may_see(served.name)]


def listed(served: Served, member: Member, hub: Hub) -> ListedRun:
    """One run that cannot be read hides no other."""
    leads = member.is_at_least("adjudicator")
    try:
        return with_figures(hub.facts(served)) if leads else ListedRun(served.name, standing(served.folder).state)
    except SolonError as error:
        return ListedRun(served.name, "failed", str(error) if leads else "")
    except Exception as error:
        log(error)
        return ListedRun(served.name, "failed", UNREADABLE if leads else "")


def with_figures(facts: RunFacts) -> ListedRun:
    counts = facts.counts
    return ListedRun(facts.name, facts.state, facts.fault, counts.done, counts.prompts, counts.pairs)


@router.get("/{run}")
def run(_: Adjudicator, served: RunHere, site: Here) -> RunFacts:
    """Where the run stands, and what it came to so far."""
    return site.hub.facts(served)


@router.get("/{run}/events", response_class=EventSourceResponse)
async def events(_: Adjudicator, served: RunHere, site: Here, stream: StreamHere) -> AsyncIterator[ServerSentEvent]:
    """The same as server-sent events, whenever something changed. A session has few of these at a time."""
    ends = time.monotonic() + STREAM
    feed = site.hub.feed(served.name, lambda name: site.runs().get(name))
    async with aclosing(feed.listen()) as listening:
        async for facts in listening:
            if time.monotonic() > ends or not await stream.still():
                return
            yield ServerSentEvent(data=facts) if facts else ServerSentEvent(comment="nothing new")


@router.post("/{run}/start")
def start(_: Admin, served: RunHere, site: Here, asked: StartAsked | None = None) -> RunFacts:
    """Starts the run in a process of its own, or goes on with it; what was paid for is not paid for again."""
    site.hub.children.start(served, accept_changes=asked.accept_changes if asked else False)
    return site.hub.facts(served)


@router.post("/{run}/pause")
def stop(_: Admin, served: RunHere, site: Here) -> RunFacts:
    """Lets the calls in flight finish, and stops the run."""
    pause(served.folder.path)
    return site.hub.facts(served)
