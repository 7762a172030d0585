"""The names of the metrics that a PromQL expression asks for."""

import re

_NOT_NAMES = re.compile(
    r"""
    "(?:[^"\\]|\\.)*"                                   # a string
    | \{[^}]*\}                                         # matchers
    | \[[^\]]*\]                                        # a range
    | \b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)
    | \b(?:and|or|unless|bool|offset)\b
    | \b[a-z_0-9]+\s*(?=\(|by\b|without\b)               # a function
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"(?<![\w.:$])[a-zA-Z_:][\w:]*")
_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


def metrics(expression: str) -> set[str]:
    """Bare names: of a histogram's series, the histogram's."""
    return {_SUFFIX.sub("", name) for name in _NAME.findall(_NOT_NAMES.sub(" ", expression))}
