"""Small charts as SVG, made here: no script, no inline style, colours from the style sheet by class.

The title of each is heard by those who do not see and shown by a pointer: its label and its scale, as in
`Requests per second: now 3.1, at most 12`.
"""

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from api_gateway.console.words import NOTHING, duration, rate

WIDTH, HEIGHT = 300.0, 60.0
SLOTS = 91

Numbers = Sequence[float | None]
Says = Callable[[float | None], str]


def bars(label: str, *stacked: tuple[str, Numbers], height: float = HEIGHT, says: Says = rate) -> Markup:
    """Stacked bars, newest on the right. Each layer is its class and its numbers; None is no bar."""
    layers = [(name, _last(numbers)) for name, numbers in stacked]
    sums = [sum(column) for column in zip(*(numbers for _, numbers in layers), strict=True)]
    top = max(sums, default=0.0) or 1.0
    step, drawn = WIDTH / SLOTS, ""
    floors = [0.0] * SLOTS
    for name, numbers in layers:
        path = ""
        for at, number in enumerate(numbers):
            if number > 0:
                tall = max(number / top * (height - 4), 1.0)
                path += f"M{at * step + 0.4:.1f} {height - floors[at]:.1f}v{-tall:.1f}h{step - 0.8:.1f}v{tall:.1f}z"
                floors[at] += tall
        drawn += f'<path class="{escape(name)}" d="{path}"/>' if path else ""
    return _framed(_title(label, sums, says), drawn, height)


def lines(
    label: str, *series: tuple[str, Numbers], height: float = HEIGHT, filled: bool = False, says: Says = duration
) -> Markup:
    """Lines, newest on the right; None interrupts a line, and `filled` shades what is below the first one."""
    top = max((number for _, numbers in series for number in numbers if number is not None), default=0.0) or 1.0
    drawn = ""
    for index, (name, numbers) in enumerate(series):
        for run in _runs(numbers):
            points = [(at * WIDTH / (SLOTS - 1), height - 2 - value / top * (height - 6)) for at, value in run]
            if len(points) == 1:
                points = [(points[0][0] - 1.5, points[0][1]), (points[0][0] + 1.5, points[0][1])]
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            if filled and index == 0:
                drawn += f'<path class="area {escape(name)}" d="M{points[0][0]:.1f} {height:g}L{path}'
                drawn += f'L{points[-1][0]:.1f} {height:g}z"/>'
            drawn += f'<path class="line {escape(name)}" d="M{path}"/>'
    return _framed(_title(label, series[0][1], says), drawn, height)


def _title(label: str, numbers: Numbers, says: Says) -> str:
    known = [number for number in numbers if number is not None]
    return f"{label}: now {says(numbers[-1]) if numbers else NOTHING}, at most {says(max(known, default=None))}"


def _last(numbers: Numbers) -> list[float]:
    kept = [number or 0.0 for number in numbers[-SLOTS:]]
    return [0.0] * (SLOTS - len(kept)) + kept


def _runs(numbers: Numbers) -> list[list[tuple[int, float]]]:
    """What is known, in unbroken runs of (slot, number)."""
    kept = numbers[-SLOTS:]
    runs: list[list[tuple[int, float]]] = [[]]
    for at, number in enumerate(kept, SLOTS - len(kept)):
        if number is None:
            runs.append([])
        else:
            runs[-1].append((at, number))
    return [run for run in runs if run]


def _framed(title: str, drawn: str, height: float) -> Markup:
    ground = f'<path class="ground" d="M0 {height - 0.5:g}H{WIDTH:g}"/>'
    return Markup(  # noqa: S704 - numbers and escaped words only
        f'<svg class="chart" viewBox="0 0 {WIDTH:g} {height:g}" preserveAspectRatio="none" role="img">'
        f"<title>{escape(title)}</title>{ground}{drawn}</svg>"
    )
