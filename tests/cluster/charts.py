"""What a chart renders to, as objects to apply: `helm template` without its tests and notes."""

from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart
from hpctl.layout import ROOT

Manifest = dict[str, Any]
CHARTS = ROOT / "charts"


def names() -> list[str]:
    """Every chart that can be installed; a library cannot."""
    found = (yaml.safe_load(path.read_text()) for path in sorted(CHARTS.glob("*/Chart.yaml")))
    return [chart["name"] for chart in found if chart.get("type", "application") == "application"]


def render(chart: str, namespace: str, values: dict[str, Any] | None = None, release: str = "") -> list[Manifest]:
    """The objects of a release, in the order of Helm's files; values that the schema refuses raise."""
    loaded = Chart.load(CHARTS / chart)
    files = loaded.render(values or {}, name=release or chart, namespace=namespace)
    texts = [text for name, text in sorted(files.items()) if not Path(name).name.startswith("NOTES")]
    objects = [found for text in texts for found in yaml.load_all(text, Loader=yaml.CSafeLoader) if found]
    return [found for found in objects if "helm.sh/hook" not in found["metadata"].get("annotations", {})]


def nested(flat: dict[str, str]) -> Manifest:
    """`a.b: c` as Helm's --set reads it."""
    values: Manifest = {}
    for key, value in flat.items():
        *way, last = key.split(".")
        place = values
        for step in way:
            place = place.setdefault(step, {})
        place[last] = value
    return values
