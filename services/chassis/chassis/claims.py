"""What a token (JWT, RFC 7519) says, read strictly: before and after the library, which accepts too much (RFC 8725).

Every refusal is a ValueError whose text is one word for the log.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from typing import Any

LONGEST_TOKEN = 4096
MOST_NESTED = 32  # arrays and objects in a header or the claims: a parser that runs out of stack raises no ValueError
SKEW = 60

_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = frozenset({"alg", "typ", "kid"})


def header(token: str) -> dict[str, Any]:
    """The header of a token that is shaped as ours are; its claims can be read too."""
    parts = token.split(".")
    if len(token) > LONGEST_TOKEN or len(parts) != 3 or not all(_SEGMENT.fullmatch(part) for part in parts):
        raise ValueError("shape")
    _bytes(parts[2])
    found = _json(parts[0])
    if found.keys() - _HEADER:
        raise ValueError("header")
    if found.get("typ", "JWT") not in ("JWT", "at+jwt"):
        raise ValueError("type")
    return found


def refuse_ambiguous(token: str) -> None:
    """Refuses claims that two parsers could read differently."""
    _json(token.split(".")[1])


def _json(segment: str) -> dict[str, Any]:
    raw = _bytes(segment)
    if raw.count(b"[") + raw.count(b"{") > MOST_NESTED:
        raise ValueError("depth")
    value = json.loads(raw, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        raise ValueError("shape")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _bytes(segment: str) -> bytes:
    """Strict base64url: one text for one value, so that a token has one form (RFC 4648, section 3.5)."""
    try:
        raw = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("encoding") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise ValueError("encoding")
    return raw


def text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that has to be there, as text of 1 to 255 characters that every part of the platform can store.

    JSON can say half a surrogate pair and NUL; UTF-8 has no form for the one, and PostgreSQL none for the other.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 255 or _UNFIT.search(value):
        raise ValueError(name)
    return value


def expiry(claims: Mapping[str, Any], longest: float) -> float:
    """When it ends (seconds since 1970), if it is valid now and lives no longer than `longest` seconds."""
    now = time.time()
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    if expires <= now:
        raise ValueError("expired")
    if issued > now + SKEW or expires <= issued or expires - issued > longest:
        raise ValueError("iat")
    if "nbf" in claims and _moment(claims, "nbf") > now + SKEW:
        raise ValueError("nbf")
    return expires


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise ValueError(name)
    return float(value)
