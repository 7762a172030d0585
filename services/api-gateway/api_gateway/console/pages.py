"""The pages that only show something."""

import asyncio
from typing import Annotated, Any

from chassis.errors import NotFound
from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from api_gateway.console import render
from api_gateway.console.fleet import AUTH, Fleet, Services
from api_gateway.console.session import Session, session
from api_gateway.console.troubles import troubles

router = APIRouter(include_in_schema=False)


def services(request: Request) -> Services:
    """Where the services are."""
    found: Services = request.app.state.services
    return found


Who = Annotated[Session, Depends(session)]
Platform = Annotated[Services, Depends(services)]


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
