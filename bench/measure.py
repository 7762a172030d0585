"""Ratios measured within one run: both sides in turn, so that a drifting machine moves both alike.

A figure in seconds or requests per second says more about the machine than about the code; the ratio of two
figures taken a moment apart does not. Before and after each pair a short spin of the processor is timed: when
it ran much slower than the best one seen, something else was using the machine, and the pair is thrown away.
A ratio with too few pairs left is invalid.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Literal

SPIN = 200_000
DISTURBED = 1.35
_best_spin = float("inf")


class Wrong(Exception):
    """An answer was not what it should be: the figure would be worthless."""


@dataclass(frozen=True)
class Ratio:
    """Ours over theirs. `floor` is what must be reached, `goal` what the design should allow."""

    name: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    better: Literal["higher", "lower"]
    floor: float
    goal: float
    pairs: int
    disturbed: int

    @property
    def valid(self) -> bool:
        """Enough undisturbed pairs to quote a median."""
        return self.pairs >= 3

    @property
    def reached(self) -> bool:
        """The median meets the floor."""
        return self.valid and (self.ratio >= self.floor if self.better == "higher" else self.ratio <= self.floor)


@dataclass
class Pairs:
    """The figures of undisturbed pairs, and how many were thrown away."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    disturbed: int = 0


def spin() -> float:
    """Seconds that a fixed piece of work takes now."""
    started = time.perf_counter()
    total = 0
    for number in range(SPIN):
        total += number
    return time.perf_counter() - started


def quiet() -> bool:
    """Whether the processor is as free as it was at its best."""
    global _best_spin  # noqa: PLW0603 - one machine, one best
    took = min(spin(), spin(), spin())
    _best_spin = min(_best_spin, took)
    return took <= _best_spin * DISTURBED


def pairs(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Pairs:
    """Runs both sides in turn (A B, B A, A B, …), up to twice as many rounds when some are disturbed."""
    kept = Pairs()
    for attempt in range(rounds * 2):
        if len(kept.ours) == rounds:
            break
        before = quiet()
        if attempt % 2:
            their_figure, our_figure = theirs(), ours()
        else:
            our_figure, their_figure = ours(), theirs()
        if before and quiet():
            kept.ours.append(our_figure)
            kept.theirs.append(their_figure)
        else:
            kept.disturbed += 1
    return kept


def compare(
    name: str,
    unit: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    better: Literal["higher", "lower"],
    floor: float,
    goal: float,
    rounds: int = 5,
) -> Ratio:
    """The median over the pairs of ours / theirs."""
    kept = pairs(ours, theirs, rounds)
    ratios = sorted(a / b for a, b in zip(kept.ours, kept.theirs, strict=True)) or [float("nan")]
    return Ratio(
        name=name,
        unit=unit,
        ours=statistics.median(kept.ours or [float("nan")]),
        theirs=statistics.median(kept.theirs or [float("nan")]),
        ratio=statistics.median(ratios),
        low=ratios[0],
        high=ratios[-1],
        better=better,
        floor=floor,
        goal=goal,
        pairs=len(kept.ours),
        disturbed=kept.disturbed,
    )


def absolute(name: str, unit: str, figures: list[float], *, floor: float, goal: float) -> Ratio:
    """A figure with a budget of its own (memory, seconds to start): the budget is the other side."""
    return Ratio(
        name=name,
        unit=unit,
        ours=statistics.median(figures),
        theirs=1.0,
        ratio=statistics.median(figures),
        low=min(figures),
        high=max(figures),
        better="lower",
        floor=floor,
        goal=goal,
        pairs=max(3, len(figures)),
        disturbed=0,
    )


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def as_json(ratios: list[Ratio]) -> str:
    """All ratios, with their verdicts, as one JSON document."""
    return json.dumps([asdict(r) | {"valid": r.valid, "reached": r.reached} for r in ratios], indent=2)


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Appends the seconds that the block took."""
    started = time.perf_counter()
    yield
    into.append(time.perf_counter() - started)
