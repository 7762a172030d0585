"""What a dashboard is made of, and how Grafana wants to read it (its JSON model, schema version 39)."""

from dataclasses import dataclass
from typing import Any

COLUMNS = 24
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called: `{{label}}` stands for a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Alarm:
    """Where an alert of monitoring/rules fires, above it or `below` it: a line in a graph, the colour of a number."""

    alert: str
    value: float
    below: bool = False


@dataclass(frozen=True)
class Panel:
    """`kind` is timeseries, or stat for one number; `width` of 24 columns.

    `unit` by Grafana's names: reqps, s, bytes, percentunit, short, ops.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    about: str = ""
    kind: str = "timeseries"
    width: int = 8
    alarm: Alarm | None = None


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]
    height: int = HEIGHT


@dataclass(frozen=True)
class Dashboard:
    """One page; `by_service` gives it a chooser whose value the queries know as `$service`."""

    uid: str
    title: str
    rows: tuple[Row, ...]
    by_service: bool = False

    def render(self) -> dict[str, Any]:
        """Grafana's JSON model."""
        return {
            "uid": f"healthcare-{self.uid}",
            "title": self.title,
            "tags": ["healthcare"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [{"type": "dashboards", "tags": ["healthcare"], "title": "Healthcare", "asDropdown": True}],
            "templating": {"list": [_SOURCES, _SERVICES] if self.by_service else [_SOURCES]},
            "panels": _placed(self.rows),
        }


_SOURCES = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
_SERVICES = {
    "name": "service",
    "label": "Service",
    "type": "query",
    "datasource": SOURCE,
    "query": {"query": "label_values(build_info, job)", "refId": "services"},
    "refresh": 2,
    "sort": 1,
    "multi": True,
    "includeAll": True,
    "allValue": ".+",
    "current": {"text": "All", "value": "$__all"},
}


def _placed(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Rows below each other, the panels of a row side by side while there is room."""
    placed: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        placed.append(
            _numbered(placed, {"type": "row", "title": row.title, "collapsed": False, "panels": []}, 0, y, 24, 1)
        )
        x, y = 0, y + 1
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + row.height
            placed.append(_numbered(placed, _panel(panel), x, y, panel.width, row.height))
            x += panel.width
        y += row.height
    return placed


def _numbered(placed: list[dict[str, Any]], panel: dict[str, Any], x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"id": len(placed) + 1, "gridPos": {"x": x, "y": y, "w": w, "h": h}, **panel}


def _panel(panel: Panel) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": _description(panel),
        "datasource": SOURCE,
        "targets": [_target(number, query) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **_thresholds(panel.alarm)}, "overrides": []},
        "options": _OPTIONS[panel.kind],
    }
    if panel.kind == "timeseries":
        line = {"thresholdsStyle": {"mode": "line"}} if panel.alarm else {}
        custom = {"fillOpacity": 10, "showPoints": "never", "lineWidth": 1, **line}
        rendered["fieldConfig"]["defaults"]["custom"] = custom
    return rendered


_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "calcs": ["lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
}
_SMALLEST = 1e-9
"""Instead of nothing: Grafana's steps begin at their value, and a rule fires above it."""


def _description(panel: Panel) -> str:
    if panel.alarm is None:
        return panel.about
    where = "The line is where" if panel.kind == "timeseries" else "It turns red where"
    return f"{panel.about} {where} {panel.alarm.alert} alerts.".lstrip()


def _thresholds(alarm: Alarm | None) -> dict[str, Any]:
    calm, beyond = ("red", "green") if alarm and alarm.below else ("green", "red")
    steps: list[dict[str, Any]] = [{"color": calm, "value": None}]
    if alarm:
        steps.append({"color": beyond, "value": alarm.value or _SMALLEST})
    return {"thresholds": {"mode": "absolute", "steps": steps}}


def _target(number: int, query: Query) -> dict[str, Any]:
    legend = query.legend or "__auto"
    return {"refId": "ABCDEFGH"[number], "datasource": SOURCE, "expr": query.expression, "legendFormat": legend}
