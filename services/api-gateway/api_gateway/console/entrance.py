"""Logging in and out."""

import secrets
from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api_gateway.console import render
from api_gateway.console.calls import Silent
from api_gateway.console.fleet import AUTH
from api_gateway.console.pages import Platform, Who
from api_gateway.console.session import LOGIN, PATH, SESSION, VISITOR, forget, form, inside, keep, may_look, proof

LOGIN_SECONDS = 8.0

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
    chain = request.headers.get("x-forwarded-for", "")  # which the data plane has written
    try:
        status, answer = await platform.caller(AUTH).ask("POST", "/auth/login", credentials, LOGIN_SECONDS, chain)
    except Silent:
        return _login(request, fields, 503, "The auth service does not answer. Try again in a moment.")
    if status in (429, 503):
        return _login(request, fields, status, "Too many logins have been tried. Try again in a moment.")
    if status != 200:
        return _login(request, fields, 401, "The email or the password is wrong.")
    if not await may_look(request, answer["token"]):
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


def _login(request: Request, asked: Mapping[str, str], status: int = 200, wrong: str = "") -> Response:
    visitor = request.cookies.get(VISITOR) or secrets.token_urlsafe(24)
    typed = asked.get("email", "") if wrong else ""  # never from an address
    values = {"wrong": wrong, "csrf": proof(visitor, LOGIN), "next": inside(asked.get("next")), "email": typed}
    response = render.page("login.html", status, title="Log in", **values)
    keep(request, response, VISITOR, visitor, 3600)
    return response
