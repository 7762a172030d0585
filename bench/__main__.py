"""`python -m bench [name …]`: every ratio in one run, as a table and as JSON under bench/results/."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import cache, creates, events, gateway, load, operator, pages, stack, tracing
from bench.measure import Ratio, Wrong, as_json
from bench.world import World

CASES: dict[str, Callable[[World], Iterator[Ratio]]] = {
    "create": creates.create,
    "cached": cache.cached,
    "list": events.appointments,
    "projection": events.projection,
    "pages": pages.pages,
    "stack": stack.stack,
    "tracing": tracing.tracing,
    "gateway": gateway.gateway,
    "operator": operator.operator,
}
RESULTS = Path(__file__).parent / "results"
console = Console(width=max(160, Console().width))


def main(names: list[str]) -> int:
    """Exit status 0 when every ratio was valid and reached its floor."""
    if unknown := set(names) - CASES.keys():
        console.print(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
        return 2
    if missing := load.needed():
        console.print(missing)
        return 2
    ratios = [ratio for name in names or CASES for ratio in _run(name)]
    console.print(_table(ratios))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    file.write_text(as_json(ratios))
    console.print(f"as JSON: {file}")
    return 0 if ratios and all(ratio.reached for ratio in ratios) else 1


def _run(name: str) -> list[Ratio]:
    console.print(f"measuring {name} …")
    found = []
    try:
        with World() as world:
            for ratio in CASES[name](world):
                console.print(f"  {ratio.name}: {ratio.ratio:.2f}")
                found.append(ratio)
    except Wrong as error:
        console.print(f"  [red]invalid[/red]: {error}")
    return found


def _table(ratios: list[Ratio]) -> Table:
    table = Table("ratio", "unit", "ours", "theirs", "median", "low–high", "at least", "going to", "verdict")
    for ratio in ratios:
        verdict = ("reached" if ratio.reached else "missed") if ratio.valid else "invalid: the machine was disturbed"
        figures = [
            f"{ratio.ours:.4g}",
            f"{ratio.theirs:.4g}",
            f"{ratio.ratio:.2f}",
            f"{ratio.low:.2f}–{ratio.high:.2f}",
        ]
        table.add_row(ratio.name, ratio.unit, *figures, f"{ratio.floor:g}", f"{ratio.goal:g}", verdict)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
