"""The forms: logging in and out, and working off dead letters."""

import secrets
from collections.abc import Mapping

from chassis.errors import Conflict, FieldError, Invalid, NotFound
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api_gateway.console import render
from api_gateway.console.calls import Silent
from api_gateway.console.fleet import AUTH, Services
from api_gateway.console.pages import Platform, Who
from api_gateway.console.session import LOGIN, PATH, SESSION, VISITOR, forget, form, inside, keep, may_look, proof

LOGIN_SECONDS = 8.0
WORK_SECONDS = 25.0
MOST = 100
DIGITS = 19  # an offset has 63 bits

router = APIRouter(include_in_schema=False)


@router.get(LOGIN)
async def login_form(request: Request) -> Response:
    """The door; `next` is the page that was asked for."""
    return _login(request, request.query_params)


@router.post(LOGIN)
async def login(request: Request, platform: Platform) -> Response:
    """In, for an ADMIN; what is wrong is not said in more detail than auth-service says it."""
    fields = await form(request, request.cookies.get(VISITOR))
    credentials = {name: fields.get(name, "") for name in ("email", "password")}
    try:
        status, answer = await platform.caller(AUTH).ask("POST", "/auth/login", credentials, LOGIN_SECONDS)
    except Silent:
        return _login(request, fields, 503, "The auth service does not answer. Try again in a moment.")
    if status != 200:
        return _login(request, fields, 401, "The email or the password is wrong.")
    if not may_look(request, answer["token"]):
        return _login(request, fields, 403, "This account may not use the console: it is for administrators.")
    response = RedirectResponse(inside(fields.get("next")), 303, render.HEADERS)
    keep(request, response, SESSION, answer["token"])
    forget(response, VISITOR)
    return response


@router.post(f"{PATH}/logout")
async def logout(request: Request, who: Who) -> Response:
    """Out."""
    await form(request, who.token)
    response = RedirectResponse(LOGIN, 303, render.HEADERS)
    forget(response, SESSION)
    return response


@router.post(f"{PATH}/dead-letters/{{name}}/{{topic}}/replay")
async def replay(request: Request, name: str, topic: str, who: Who, platform: Platform) -> Response:
    """The oldest messages back to the group that could not handle them."""
    return await _work("replay", "replayed", request, name, topic, who, platform)


@router.post(f"{PATH}/dead-letters/{{name}}/{{topic}}/discard")
async def discard(request: Request, name: str, topic: str, who: Who, platform: Platform) -> Response:
    """The oldest messages deleted for good."""
    return await _work("discard", "discarded", request, name, topic, who, platform)


async def _work(
    verb: str, past: str, request: Request, name: str, topic: str, who: Who, platform: Services
) -> Response:
    fields = await form(request, who.token)
    if name not in platform.remote:
        raise NotFound("service")
    work = {"topic": topic} | _extent(fields)
    status, answer = await platform.caller(name, who.token).ask("POST", f"/ops/{verb}", work, WORK_SECONDS)
    if status == 409:
        raise Conflict(str(answer["detail"]))
    if status != 200:
        raise Silent
    address = f"{PATH}/dead-letters/{name}/{topic}?{past}={answer[past]}"
    return RedirectResponse(address, 303, render.HEADERS)


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


def _login(request: Request, asked: Mapping[str, str], status: int = 200, wrong: str = "") -> Response:
    visitor = request.cookies.get(VISITOR) or secrets.token_urlsafe(24)
    typed = asked.get("email", "") if wrong else ""  # never from an address
    values = {"wrong": wrong, "csrf": proof(visitor, LOGIN), "next": inside(asked.get("next")), "email": typed}
    response = render.page("login.html", status, title="Log in", **values)
    keep(request, response, VISITOR, visitor, 3600)
    return response
