"""Who looks at the console: a token in a cookie that scripts and other sites cannot reach, and a proof in every form.

There is no state on this side, so any replica may answer. The proof (a CSRF token) is an HMAC of the form's address
keyed by the cookie, which nobody else knows.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from chassis.auth import LIFETIME, Principal, TokenVerifier, allows
from chassis.errors import Unauthenticated
from chassis.ops import READ
from fastapi import Request
from starlette.responses import Response

SESSION = "console_session"
VISITOR = "console_visitor"
PATH = "/console"
LOGIN = f"{PATH}/login"
LONGEST_FORM = 50
_INSIDE = re.compile(rf"{PATH}(?:/(?!\.\.?(?:/|$))[\w.-]+)*", re.ASCII)


class NoSession(Exception):
    """Nobody is logged in."""


class Forged(Exception):
    """A form without its proof."""


@dataclass(frozen=True, slots=True)
class Session:
    """An ADMIN who is logged in."""

    token: str
    who: Principal

    def proof(self, action: str) -> str:
        """What the form for this address carries."""
        return proof(self.token, action)


async def session(request: Request) -> Session:
    """The session of the request. Raises NoSession."""
    token = request.cookies.get(SESSION)
    verifier: TokenVerifier = request.app.state.tokens
    try:
        found = Session(token, await verifier.verified(token)) if token else None
    except Unauthenticated:
        found = None
    if found is None or not allows(request, found.who, READ):
        raise NoSession
    return found


async def may_look(request: Request, token: str) -> bool:
    """Whether the token's owner may use the console."""
    verifier: TokenVerifier = request.app.state.tokens
    return allows(request, await verifier.verified(token), READ)


def inside(path: str | None) -> str:
    """A page of the console to go to after the login: the one that was asked for, or the overview."""
    return path if path and _INSIDE.fullmatch(path) else PATH


def proof(secret: str, action: str) -> str:
    """The CSRF token of a form."""
    return hmac.digest(secret.encode(), action.encode(), "sha256").hex()


async def form(request: Request, secret: str | None) -> Mapping[str, str]:
    """The fields of a form that was ours. Raises Forged."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        fields = dict(parse_qsl(body, max_num_fields=LONGEST_FORM))
    except ValueError:  # more than that: no form of ours
        raise Forged from None
    expected = proof(secret, request.url.path) if secret else ""
    if not expected or not hmac.compare_digest(fields.get("csrf", "").encode(), expected.encode()):
        raise Forged
    return fields


def keep(request: Request, response: Response, name: str, value: str, seconds: int = LIFETIME) -> None:
    """Sets a cookie that leaves this machine over TLS only, where there is TLS."""
    secure = request.app.state.settings.app_env == "production" or request.headers.get("x-forwarded-proto") == "https"
    response.set_cookie(name, value, max_age=seconds, path=PATH, secure=secure, httponly=True, samesite="strict")


def forget(response: Response, name: str) -> None:
    """Takes a cookie back."""
    response.delete_cookie(name, path=PATH, httponly=True, samesite="strict")
