"""Dead letters: listed, looked at, given back to the group that failed, or discarded for good.

Only discarding asks first: it alone cannot be undone, while what fails again after a replay comes back.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from chassis.errors import Conflict, FieldError, Invalid, NotFound
from chassis.ops import MOST_SHOWN
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api_gateway.console import render
from api_gateway.console.calls import Silent
from api_gateway.console.fleet import Services
from api_gateway.console.pages import Platform, Who, shown
from api_gateway.console.session import PATH, Session, form

ALL = f"{PATH}/dead-letters"
TOPIC = f"{ALL}/{{name}}/{{topic}}"
LOOK_SECONDS = 6.0
WORK_SECONDS = 25.0
MOST = 100
DIGITS = 19  # an offset has 63 bits

Done = Annotated[int | None, Query(ge=0)]

router = APIRouter(include_in_schema=False)


@router.get(ALL)
async def topics(who: Who, platform: Platform) -> Response:
    """How many messages each group has put aside."""
    found, silent = await platform.dead_letters(who.token)
    found.sort(key=lambda each: (-each["count"], each["topic"]))
    return shown("deadletters.html", who, "Dead letters", "dead-letters", topics=found, silent=silent)


@router.get(TOPIC)
async def letters(
    name: str, topic: str, who: Who, platform: Platform, replayed: Done = None, discarded: Done = None
) -> Response:
    """The messages of one dead-letter topic, without what is in them."""
    content = await _asked(platform, who, name, f"/ops/dead-letters/{topic}")
    return shown(
        "letters.html", who, topic, "dead-letters", service=name, topic=topic, letters=content["content"],
        most=MOST_SHOWN, replayed=replayed, discarded=discarded, proof=who.proof(_address(name, topic, "replay")),
    )  # fmt: skip


@router.get(f"{TOPIC}/discard")
async def ask_before_discarding(request: Request, name: str, topic: str, who: Who, platform: Platform) -> Response:
    """The messages that would go, without what is in them; nothing is deleted yet."""
    if not request.query_params:  # after a login in between
        return RedirectResponse(_address(name, topic), 303, render.HEADERS)
    extent = _extent(request.query_params)
    content = await _asked(platform, who, name, f"/ops/dead-letters/{topic}")
    through = extent.get("through")
    going = [each for each in content["content"] if through is None or each["offset"] <= through][: extent["count"]]
    if not going:
        raise NotFound("dead letter")
    return shown(
        "discard.html", who, "Discard for good?", "dead-letters", service=name, topic=topic, letters=going,
        proof=who.proof(_address(name, topic, "discard")),
    )  # fmt: skip


@router.get(f"{TOPIC}/{{partition}}/{{offset}}")
async def letter(name: str, topic: str, partition: int, offset: int, who: Who, platform: Platform) -> Response:
    """One message, with its data."""
    content = await _asked(platform, who, name, f"/ops/dead-letters/{topic}/{partition}/{offset}")
    return shown(
        "letter.html", who, f"Message {partition}/{offset}", "dead-letters",
        service=name, topic=topic, letter=content, proof=who.proof(_address(name, topic, "replay")),
    )  # fmt: skip


@router.post(f"{TOPIC}/replay")
async def replay(request: Request, name: str, topic: str, who: Who, platform: Platform) -> Response:
    """The oldest messages back to the group that could not handle them."""
    done = await _work("replay", request, name, topic, who, platform)
    return RedirectResponse(f"{_address(name, topic)}?replayed={done['replayed']}", 303, render.HEADERS)


@router.post(f"{TOPIC}/discard")
async def discard(request: Request, name: str, topic: str, who: Who, platform: Platform) -> Response:
    """The oldest messages deleted for good."""
    done = await _work("discard", request, name, topic, who, platform)
    return RedirectResponse(f"{_address(name, topic)}?discarded={done['discarded']}", 303, render.HEADERS)


def _address(name: str, topic: str, verb: str = "") -> str:
    return f"{ALL}/{name}/{topic}{verb and '/' + verb}"


async def _work(verb: str, request: Request, name: str, topic: str, who: Session, platform: Services) -> dict[str, Any]:
    fields = await form(request, who.token)
    _known(platform, name)
    work = {"topic": topic} | _extent(fields)
    status, answer = await platform.caller(name, who.token).ask("POST", f"/ops/{verb}", work, WORK_SECONDS)
    if status == 409:
        raise Conflict(str(answer["detail"]))
    if status != 200:
        raise Silent
    return answer


async def _asked(platform: Services, who: Session, name: str, path: str) -> dict[str, Any]:
    """A service's answer. Raises NotFound, and Silent when there is none."""
    _known(platform, name)
    status, content = await platform.caller(name, who.token).ask("GET", path, within=LOOK_SECONDS)
    if status == 404:
        raise NotFound("dead letter")
    if status != 200:
        raise Silent
    return content


def _known(platform: Services, name: str) -> None:
    if name not in platform.remote:
        raise NotFound("service")


def _extent(fields: Mapping[str, str]) -> dict[str, int]:
    """How much: `count` messages, or all up to the offset `through`. Invalid for what is no number: never more then."""
    found = {name: _number(name, fields[name]) for name in ("count", "through") if name in fields}
    if not found:
        raise Invalid([FieldError("count", "must not be missing")])
    return found | {"count": min(max(found.get("count", MOST), 1), MOST)}


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < DIGITS):
        raise Invalid([FieldError(name, "is not a number")])
    return int(text)
