"""The pages that only show something."""

import asyncio
from typing import Annotated, Any

from chassis.errors import NotFound
from chassis.ops import MOST_SHOWN
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from api_gateway.console import render
from api_gateway.console.calls import Silent
from api_gateway.console.fleet import AUTH, Fleet, Services
from api_gateway.console.session import Session, session
from api_gateway.console.troubles import troubles

LETTERS_SECONDS = 6.0

router = APIRouter(include_in_schema=False)


def services(request: Request) -> Services:
    """Where the services are."""
    found: Services = request.app.state.services
    return found


Who = Annotated[Session, Depends(session)]
Platform = Annotated[Services, Depends(services)]
Done = Annotated[int | None, Query(ge=0)]


def shown(name: str, who: Session, title: str, here: str, **values: Any) -> Response:
    """A page with the frame that a person who is logged in sees."""
    return render.page(name, title=title, here=here, leave=who.proof("/console/logout"), **values)


@router.get("/console/static/{name}")
async def static(name: str) -> Response:
    """What the pages look like."""
    found = render.static(name)
    if found is None:
        raise NotFound("file")
    return found


@router.get("/console/")
async def slash() -> Response:
    """What people type."""
    return RedirectResponse("/console", 308, render.HEADERS)


@router.get("/console")
async def overview(who: Who, platform: Platform) -> Response:
    """All services at a glance."""
    fleet, waiting = await asyncio.gather(platform.fleet(who.token), platform.waiting(who.token))
    wrong = troubles(fleet, platform.watch, waiting)
    return shown("overview.html", who, "Overview", "overview", fleet=fleet, waiting=waiting, troubles=wrong)


@router.get("/console/services/{name}")
async def service(name: str, who: Who, platform: Platform) -> Response:
    """Everything that one service says of itself."""
    if name not in platform.names:
        raise NotFound("service")
    member = await platform.member(name, who.token)
    wrong = troubles(Fleet([member]), platform.watch)
    return shown("service.html", who, name, "overview", member=member, summary=member.summary, troubles=wrong)


@router.get("/console/dead-letters")
async def dead_letters(who: Who, platform: Platform) -> Response:
    """How many messages each group has put aside."""
    found, silent = await platform.dead_letters(who.token)
    found.sort(key=lambda each: (-each["count"], each["topic"]))
    return shown("deadletters.html", who, "Dead letters", "dead-letters", topics=found, silent=silent)


@router.get("/console/dead-letters/{name}/{topic}")
async def letters(
    name: str, topic: str, who: Who, platform: Platform, replayed: Done = None, discarded: Done = None
) -> Response:
    """The messages of one dead-letter topic, without what is in them."""
    content = await _asked(platform, who, name, f"/ops/dead-letters/{topic}")
    return shown(
        "letters.html", who, topic, "dead-letters", service=name, topic=topic, letters=content["content"],
        most=MOST_SHOWN, replayed=replayed, discarded=discarded, proofs=_proofs(who, name, topic),
    )  # fmt: skip


@router.get("/console/dead-letters/{name}/{topic}/{partition}/{offset}")
async def letter(name: str, topic: str, partition: int, offset: int, who: Who, platform: Platform) -> Response:
    """One message, with its data."""
    content = await _asked(platform, who, name, f"/ops/dead-letters/{topic}/{partition}/{offset}")
    return shown(
        "letter.html", who, f"Message {partition}/{offset}", "dead-letters",
        service=name, topic=topic, letter=content, proofs=_proofs(who, name, topic),
    )  # fmt: skip


@router.get("/console/audit")
async def audit(who: Who, platform: Platform) -> Response:
    """Who logged in or was registered, and what the services did last, by id."""
    fleet, auth = await asyncio.gather(platform.fleet(who.token), platform.member(AUTH, who.token))
    others = [
        event | {"service": member.name}
        for member in fleet.members
        if member.summary and member.name != AUTH
        for event in member.summary["recent"]
    ]
    others.sort(key=lambda event: str(event["at"]), reverse=True)
    return shown(
        "audit.html", who, "Audit", "audit", auth=auth, events=auth.summary["recent"] if auth.summary else [],
        others=others[:40],
    )  # fmt: skip


def _proofs(who: Session, name: str, topic: str) -> dict[str, str]:
    return {verb: who.proof(f"/console/dead-letters/{name}/{topic}/{verb}") for verb in ("replay", "discard")}


async def _asked(platform: Services, who: Session, name: str, path: str) -> dict[str, Any]:
    """A service's answer. Raises NotFound, and Silent when there is none."""
    if name not in platform.remote:
        raise NotFound("service")
    status, content = await platform.caller(name, who.token).ask("GET", path, within=LETTERS_SECONDS)
    if status == 404:
        raise NotFound("dead letter")
    if status != 200:
        raise Silent
    return content
