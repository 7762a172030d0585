"""The last minutes told as JSON: traffic by slot and by route, events by slot and by topic."""

from collections.abc import Sequence
from typing import Any

from chassis.ring import QUANTILES, Span

CHARTED = 12
"""Routes that are told slot by slot, the busiest."""


def requests(slots: Sequence[Span]) -> dict[str, Any]:
    """`{total, slots, routes}`: all routes together over the ring and by slot, and each route over the ring."""
    whole = _whole(slots)
    if whole is None:
        return {"total": None, "slots": [], "routes": []}
    routes = ({"route": route, **_traffic(whole, route)} for route in whole.keys("requests"))
    busy = sorted((each for each in routes if each["count"]), key=lambda each: each["count"], reverse=True)
    for route in busy[:CHARTED]:
        route["slots"] = [slot.count("requests", route["route"]) for slot in slots]
    return {"total": _traffic(whole), "slots": [_traffic(slot) for slot in slots], "routes": busy}


def _traffic(span: Span, route: str | None = None) -> dict[str, Any]:
    count = span.count("requests", route)
    numbers = {name: span.count(name, route) for name in ("refused", "failed")}
    quantiles = span.quantiles("latency", route) if count else dict.fromkeys(QUANTILES)
    return {"at": span.later.at, "seconds": span.seconds, "count": count, **numbers, **quantiles}


def events(slots: Sequence[Span]) -> dict[str, Any]:
    """`{slots, topics, age}`: events by slot, by topic over the ring, and how old they were when they took effect."""
    whole = _whole(slots)
    if whole is None:
        return {"slots": [], "topics": [], "age": None}
    kinds = ("published", "consumed", "dead")
    topics = sorted({topic for kind in kinds for topic in whole.keys(kind)})
    return {
        "slots": [
            {"at": slot.later.at, "seconds": slot.seconds, "age": slot.quantiles("age")["p95"]}
            | {kind: slot.count(kind) for kind in kinds}
            for slot in slots
        ],
        "topics": [
            {"topic": topic, **{kind: whole.count(kind, topic) for kind in kinds}, **whole.quantiles("age", topic)}
            for topic in topics
        ],
        "age": whole.quantiles("age"),
    }


def _whole(slots: Sequence[Span]) -> Span | None:
    return Span(slots[0].earlier, slots[-1].later) if slots else None
