"""Numbers as people read them; the filters of the templates."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from chassis.deadletterlog import NOT_READABLE
from pydantic_core import from_json

NOTHING = "–"
_DURATIONS = (
    (0.01, 1000, 1, "ms"),
    (1, 1000, 0, "ms"),
    (10, 1, 1, "s"),
    (120, 1, 0, "s"),
    (7_200, 1 / 60, 0, "min"),
    (172_800, 1 / 3600, 0, "h"),
)
_CONTROLS = (*range(9), 11, 12, *range(14, 32), *range(127, 160))
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_HIDDEN = {code: f"\\u{code:04x}" for code in (*_CONTROLS, *_DIRECTIONS)}


def duration(seconds: float | None) -> str:
    """`0.8 ms`, `12 ms`, `1.4 s`, `49 s`, `3 min`, `5 h`, `2 d`."""
    if seconds is None:
        return NOTHING
    for limit, factor, digits, unit in _DURATIONS:
        if seconds < limit:
            return f"{seconds * factor:.{digits}f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def ago(when: float) -> str:
    """How long that is past (Unix time, s)."""
    return duration(max(time.time() - when, 0.0))


def rate(per_second: float | None) -> str:
    """Three digits at most."""
    if per_second is None:
        return NOTHING
    return (
        f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2g}"
    )


def share(part: float, whole: float) -> str:
    """Per cent."""
    return NOTHING if not whole else f"{100 * part / whole:.1f} %" if part else "0 %"


def number(value: float | None) -> str:
    """With thousands apart."""
    return NOTHING if value is None else f"{value:,.0f}"


def moment(value: str | float | None) -> str:
    """`2026-05-20 09:00:00` UTC, from ISO 8601 or milliseconds of Unix time."""
    if value is None or value == "":
        return NOTHING
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value / 1000, UTC)
        return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # whoever sent a message to Kafka also set its time
        return NOT_READABLE


def partitions(names: Sequence[str]) -> str:
    """`patient.created 0–2, patient.updated 1`, from `patient.created-0` and so on; anything else as it is."""
    if not all(name.rpartition("-")[2].isdecimal() for name in names):
        return ", ".join(names)
    found: dict[str, list[int]] = {}
    for name in names:
        topic, _, place = name.rpartition("-")
        found.setdefault(topic, []).append(int(place))
    return ", ".join(f"{topic} {_spans(sorted(places))}" for topic, places in found.items())


def _spans(places: list[int]) -> str:
    first, last = places[0], places[-1]
    whole = len(places) > 1 and places == list(range(first, last + 1))
    return f"{first}–{last}" if whole else " ".join(map(str, places))


def visible(text: str | None) -> str:
    """A message's text: what a browser would not show, or would turn the other way round, is escaped."""
    return "(null)" if text is None else text.translate(_HIDDEN).encode(errors="backslashreplace").decode()


def pretty(text: str | None) -> str:
    """JSON on several lines, where that loses nothing; anything else as `visible` shows it."""
    try:
        from_json(text or "")  # refuses depth (beyond 200), before the parser that keeps digits uses up the stack
        loaded = json.loads(text or "", object_pairs_hook=_once, parse_float=_exactly, parse_constant=_exactly)
        return visible(json.dumps(loaded, indent=2, ensure_ascii=False))
    except ValueError:
        return visible(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. ValueError when one of its names stands there twice: only one would be shown."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _exactly(digits: str) -> float:
    """A number. ValueError when it would be shown as another."""
    if repr(float(digits)) != digits:
        raise ValueError("rounded")
    return float(digits)


FILTERS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (duration, ago, rate, share, number, moment, partitions, visible, pretty)
}
