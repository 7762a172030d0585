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
OF_KAFKAS_EXPORTER = ("kafka_lag_exporter_", "kafka_consumergroup_", "kafka_partition_")
_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


def metrics(expression: str) -> set[str]:
    """Bare names: of a histogram's series, the histogram's."""
    return {_SUFFIX.sub("", name) for name in _NAME.findall(_NOT_NAMES.sub(" ", expression))}


def of_kafkas_exporter(expression: str) -> bool:
    """Whether klag-exporter has to tell it."""
    return any(name.startswith(OF_KAFKAS_EXPORTER) for name in metrics(expression))
