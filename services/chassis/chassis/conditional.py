"""Conditional requests (RFC 9110, section 13): the ETag of a resource is its version.

A tag may say more behind a dot, where an answer shows what the version does not count: `"3.7"` is version 3 all the
same before a write, and another answer than `"3"` for If-None-Match of a read (ADR 10).
"""

import re
from typing import Annotated, Any

from fastapi import Depends, Request

from chassis.errors import FieldError, Invalid, PreconditionFailed
from chassis.http import HEADERS

_TAG = re.compile(r'[ \t]*(?:(W/)?"([^"]*)")?[ \t]*(?:,|$)')
"""A member of a list, which may be empty (RFC 9110, section 5.6.1.2)."""

_HEADER = {"in": "header", "schema": {"type": "string"}}
DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {"name": "If-Match", "description": "entity tags, one of which has to be the current one"} | _HEADER,
        {"name": "If-None-Match", "description": "entity tags, none of which may be the current one"} | _HEADER,
    ]
}
"""`openapi_extra` of a route that keeps them."""


class Conditions:
    """If-Match and If-None-Match of one request, None where there is none."""

    __slots__ = ("_match", "_none_match")

    def __init__(self, match: str | None = None, none_match: str | None = None) -> None:
        self._match = None if match is None else _Tags(match)
        self._none_match = None if none_match is None else _Tags(none_match)

    def check(self, version: int) -> None:
        """Before a write on this version.

        Raises:
            PreconditionFailed: If-Match names other versions, or If-None-Match names this one.
            Invalid: one of them is no list of entity tags; a write whose condition is not understood is not made.
        """
        for name, tags in (("If-Match", self._match), ("If-None-Match", self._none_match)):
            if tags is not None and not tags.sound:
                raise Invalid([FieldError(name, "has to be a list of entity tags")])
        self._check_match(str(version))
        if self._none_match is not None and self._none_match.version(str(version), weak=True):
            raise PreconditionFailed("If-None-Match names the current version")

    def spared(self, tag: int | str) -> bool:
        """Whether the client has what a read would answer (304). What is no list of entity tags names nothing.

        Raises:
            PreconditionFailed: If-Match names other versions.
        """
        self._check_match(str(tag).partition(".")[0])
        return self._none_match is not None and self._none_match.answer(str(tag))

    def _check_match(self, version: str) -> None:
        if self._match is not None and not self._match.version(version, weak=False):
            raise PreconditionFailed


class _Tags:
    """What the lines of one field say; `sound` is False when they are no list of entity tags."""

    def __init__(self, field: str) -> None:
        self._any = field.strip() == "*"
        found = None if self._any else _parsed(field)
        self.sound = self._any or found is not None
        self._tags = found or ()

    def version(self, version: str, *, weak: bool) -> bool:
        """Whether a tag names it; weak ones do in If-None-Match alone (sections 13.1.1 and 13.1.2)."""
        return self._any or version in {tag.partition(".")[0] for tag, is_weak in self._tags if weak or not is_weak}

    def answer(self, tag: str) -> bool:
        """Whether a tag, strong or weak, is this one."""
        return self._any or tag in {each for each, _ in self._tags}


_NONE = Conditions()


def conditions(request: Request) -> Conditions:
    """Those of a request; several lines of a field are one list (section 5.3)."""
    named = request.scope[HEADERS]
    if b"if-match" not in named and b"if-none-match" not in named:
        return _NONE
    return Conditions(_lines(request, b"if-match"), _lines(request, b"if-none-match"))


async def _conditions(request: Request) -> Conditions:
    return conditions(request)


Conditional = Annotated[Conditions, Depends(_conditions)]


def _lines(request: Request, wanted: bytes) -> str | None:
    lines = [value.decode("latin-1") for name, value in request.scope["headers"] if name == wanted]
    return ", ".join(lines) if lines else None


def _parsed(field: str) -> list[tuple[str, bool]] | None:
    """Each tag, and whether it is weak; None when the field is no list of them."""
    tags, position = [], 0
    while position < len(field):
        found = _TAG.match(field, position)
        if found is None:
            return None
        if found[2] is not None:
            tags.append((found[2], found[1] is not None))
        position = found.end()
    return tags
