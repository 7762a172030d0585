"""Conditional requests (RFC 9110, section 13): the ETag of a resource is its version."""

import re

from chassis.errors import FieldError, Invalid, PreconditionFailed

_TAGS = re.compile(r'\s*(?:W/)?"([^"]*)"\s*(?:,|$)')


def check_if_match(header: str | None, version: int) -> None:
    """Passes when there is no condition or it names the current version.

    Raises:
        PreconditionFailed: it names others.
        Invalid: it is no list of entity tags.
    """
    if header is not None and header.strip() != "*" and str(version) not in _tags(header, "If-Match"):
        raise PreconditionFailed


def not_modified(header: str | None, version: int) -> bool:
    """Whether If-None-Match names the current version: then 304 is enough."""
    return header is not None and (header.strip() == "*" or str(version) in _tags(header, "If-None-Match"))


def _tags(header: str, name: str) -> set[str]:
    tags, position = set(), 0
    while position < len(header):
        found = _TAGS.match(header, position)
        if found is None:
            raise Invalid([FieldError(name, "has to be a list of entity tags")])
        tags.add(found[1])
        position = found.end()
    return tags
