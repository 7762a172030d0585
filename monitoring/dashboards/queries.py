"""The few shapes that most queries have."""

from monitoring.dashboards.panels import Query


def rate(metric: str, by: str, matchers: str = "", legend: str = "") -> Query:
    """How often a counter moves in a second, summed by labels ("job, route")."""
    return Query(f"sum by ({by}) (rate({metric}{_braced(matchers)}[$__rate_interval]))", legend or _legend(by))


def average(histogram: str, by: str, matchers: str = "", legend: str = "") -> Query:
    """The mean of what a histogram saw, in its unit."""
    total, count = (
        f"sum by ({by}) (rate({histogram}_{part}{_braced(matchers)}[$__rate_interval]))" for part in ("sum", "count")
    )
    return Query(f"{total} / {count}", legend or _legend(by))


def quantile(q: float, histogram: str, by: str, matchers: str = "") -> Query:
    """A quantile of what a histogram saw; the legend says which."""
    inner = f"sum by ({by}, le) (rate({histogram}_bucket{_braced(matchers)}[$__rate_interval]))"
    return Query(f"histogram_quantile({q}, {inner})", f"{_legend(by)} p{q * 100:g}")


def gauge(metric: str, by: str, matchers: str = "", legend: str = "", how: str = "sum") -> Query:
    """A number as it stands, put together (`sum`, `max`) by labels."""
    return Query(f"{how} by ({by}) ({metric}{_braced(matchers)})", legend or _legend(by))


def _braced(matchers: str) -> str:
    return f"{{{matchers}}}" if matchers else ""


def _legend(by: str) -> str:
    return " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
