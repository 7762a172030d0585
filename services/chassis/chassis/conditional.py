"""Conditional requests (RFC 9110, section 13): the ETag of a resource is its version.

A tag may say more behind a dot, where an answer shows what the version does not count: `"3.7"` is version 3 all the
same for If-Match, and another answer than `"3"` for If-None-Match.
"""

import re

from chassis.errors import FieldError, Invalid, PreconditionFailed

_TAGS = re.compile(r'[ \t]*(W/)?"([^"]*)"[ \t]*(?:,|$)')


def check_if_match(header: str | None, version: int) -> None:
    """Passes when there is no condition or it names the current version; a weak tag names none (section 13.1.1).

    Raises:
        PreconditionFailed: it names others.
        Invalid: it is no list of entity tags.
    """
    if header is None or header.strip() == "*":
        return
    if str(version) not in {tag.partition(".")[0] for tag, weak in _tags(header, "If-Match") if not weak}:
        raise PreconditionFailed


def not_modified(header: str | None, tag: int | str) -> bool:
    """Whether If-None-Match names the current answer: then 304 is enough."""
    if header is None:
        return False
    return header.strip() == "*" or str(tag) in {each for each, _ in _tags(header, "If-None-Match")}


def _tags(header: str, name: str) -> set[tuple[str, bool]]:
    """Each tag, and whether it is weak."""
    tags, position = set(), 0
    while position < len(header):
        found = _TAGS.match(header, position)
        if found is None:
            raise Invalid([FieldError(name, "has to be a list of entity tags")])
        tags.add((found[2], found[1] is not None))
        position = found.end()
    return tags
