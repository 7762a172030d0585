"""The only module that touches Helm: charts in, manifests out."""

import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from healthcare_operator.excerpt import excerpt
from healthcare_operator.platform import Manifest


class ChartError(Exception):
    """A chart refuses the values that a spec leads to; the text says which."""


class Charts:
    """A folder of charts; each is loaded once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._load = lru_cache(maxsize=None)(self._loaded)

    def render(self, chart: str, values: dict[str, Any], *, name: str, namespace: str) -> list[Manifest]:
        """Every object of a chart but its tests.

        Raises:
            ChartError: the values do not fit the chart's schema, or a template fails.
        """
        try:
            rendered = self._load(chart).render(values, name=name, namespace=namespace)
        except helm_python.HelmError as error:
            raise ChartError(f"chart {chart}: {excerpt(' '.join(str(error).split()), 4096)}") from None
        texts = [text for path, text in sorted(rendered.items()) if "/tests/" not in path and path.endswith(".yaml")]
        return [each for text in texts for each in yaml.load_all(text, Loader=_Loader) if each]

    def _loaded(self, chart: str) -> helm_python.Chart:
        """From a copy without links: for each link Helm would print a line of its own among those of the log."""
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(self._directory / chart, Path(folder) / chart)
            return helm_python.Chart.load(str(copy))


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
