"""Whether a text is a configuration of Alertmanager: what makes it refuse to start; pure.

Source: https://prometheus.io/docs/alerting/latest/configuration/ (0.28). No word of the text itself is repeated: it
holds passwords.
"""

from collections.abc import Iterator
from typing import Any

import yaml

SECTIONS = frozenset(
    {
        "global",
        "route",
        "receivers",
        "inhibit_rules",
        "mute_time_intervals",
        "time_intervals",
        "templates",
        "tracing",
    }
)


def fault(text: str) -> str | None:
    """The first thing that is wrong, as the end of a sentence; None where nothing is seen."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return "is no YAML" + (f" (line {mark.line + 1})" if mark else "")
    return next(_faults(found), None)


def _faults(found: Any) -> Iterator[str]:
    if not isinstance(found, dict):
        yield "is no configuration of Alertmanager: it has no sections"
        return
    if found.keys() - SECTIONS:
        yield f"has a section that Alertmanager does not know: it knows {', '.join(sorted(SECTIONS))}"
    receivers, route = found.get("receivers"), found.get("route")
    if not isinstance(route, dict) or not route.get("receiver"):
        yield "has no route with a receiver"
        return
    listed = receivers if isinstance(receivers, list) else []
    names = [each.get("name") for each in listed if isinstance(each, dict)]
    if len(names) < len(listed) or not all(isinstance(each, str) and each for each in names):
        yield "has a receiver without a name"
    elif len(set(names)) < len(names):
        yield "has two receivers of one name"
    elif set(_named(route)) - set(names):
        yield "has a route to a receiver that is not defined"


def _named(route: Any) -> Iterator[str]:
    """The receivers of a route and of those below it."""
    if isinstance(route, dict):
        if route.get("receiver"):
            yield str(route["receiver"])
        below = route.get("routes")
        for each in below if isinstance(below, list) else []:
            yield from _named(each)
