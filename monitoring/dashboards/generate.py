"""Writes grafana/dashboards/*.json, the one copy that compose, the chart and the operator use: `make dashboards`."""

import json
from pathlib import Path

from monitoring.dashboards.cache import CACHE
from monitoring.dashboards.events import EVENTS
from monitoring.dashboards.gateway import GATEWAY
from monitoring.dashboards.infrastructure import INFRASTRUCTURE
from monitoring.dashboards.kafka import KAFKA
from monitoring.dashboards.overview import OVERVIEW
from monitoring.dashboards.reconciler import OPERATOR
from monitoring.dashboards.runtime import RUNTIME

FOLDER = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"
DASHBOARDS = (OVERVIEW, EVENTS, CACHE, GATEWAY, RUNTIME, OPERATOR, KAFKA, INFRASTRUCTURE)


def files() -> dict[str, str]:
    """The content of each file by its name."""
    return {f"{each.uid}.json": json.dumps(each.render(), indent=1) + "\n" for each in DASHBOARDS}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
