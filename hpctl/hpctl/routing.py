"""The gateway's route table, printed from the data that it runs on."""

from typing import Any

from api_gateway.routes import ROUTES, Route
from rich.table import Table

from hpctl.report import show_table


def show_routes() -> None:
    """One line per route: where it leads, who may use it, and for how long the gateway waits."""
    table = Table("path", "service", "seen there as", "needs", "limit", "deadline", box=None, header_style="dim")
    for route in ROUTES:
        seen = route.path.removeprefix(route.prefix)
        table.add_row(route.path, route.upstream, seen, _needs(route), route.quota, f"{route.timeout:g} s")
    show_table(table)


def described() -> list[dict[str, Any]]:
    """For programs: `[{path,service,seenAs,needs,limit,deadlineSeconds}]`; `needs` is null for public routes."""
    return [
        {
            "path": route.path,
            "service": route.upstream,
            "seenAs": route.path.removeprefix(route.prefix),
            "needs": (sorted(set(route.scopes.values())) or ["token"]) if route.auth else None,
            "limit": route.quota,
            "deadlineSeconds": route.timeout,
        }
        for route in ROUTES
    ]


def _needs(route: Route) -> str:
    if not route.auth:
        return "nothing"
    return ", ".join(sorted(set(route.scopes.values()))) or "a token"
