"""The charts and the resource, as forms whose fields are tried."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import jsonschema
import pydantic
from healthcare_operator import crd, values
from healthcare_operator.platform import Platform
from healthcare_operator.spec import Spec
from healthcare_operator.values import COMPONENTS

from tests.charts.contexts import PLATFORMS, contexts
from tests.charts.corpus import resolved
from tests.charts.fields import Form, Refused
from tests.charts.rendering import CHARTS, SERVICES, Manifest

FIRST = "patient-service"


class Chart:
    """A chart, and what its schema says of its values. The library's defaults are the same fields once more."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.contexts = contexts(name)
        found = json.loads((CHARTS / name / "values.schema.json").read_text())
        properties = {key: node for key, node in found["properties"].items() if key != "service"}
        self.schema = {"type": "object", "additionalProperties": False, "properties": resolved(properties, found)}
        self._validator = jsonschema.Draft7Validator(self.schema)

    def faults(self, values: Manifest) -> str:
        """What is missing beside a value is in the chart's defaults."""
        errors = self._validator.iter_errors(values)
        return "\n".join(error.message for error in errors if error.validator != "required")

    def texts(self, values: Manifest) -> dict[str, str]:
        """Notes are for people."""
        return _rendered(self._name, json.dumps(values))


class Resource:
    """A HealthcarePlatform. What its field `values` takes is the charts'."""

    contexts = PLATFORMS

    def __init__(self) -> None:
        self.schema = _without(crd.schema()["properties"]["spec"])

    def faults(self, values: Manifest) -> str:
        """What the operator has against a spec; the API server says the same (tests/operator/test_worded.py)."""
        try:
            Spec.model_validate(values)
        except pydantic.ValidationError as error:
            return str(error)
        return ""

    def texts(self, spec: Manifest) -> dict[str, str]:
        """Of all components."""
        if said := self.faults(spec):
            raise Refused(said)
        platform = Platform("demo", "demo", "uid", 1, Spec.model_validate(spec))
        found: dict[str, str] = {}
        for component in COMPONENTS:
            wanted = values.of(platform, component)
            found |= {} if wanted is None else _rendered(component, json.dumps(wanted))
        return found


@cache
def chart(name: str) -> Form:
    """A chart, read once; of a service only what its own templates have before those of all services."""
    known = chart(FIRST).arrived if name in SERVICES and name != FIRST else frozenset()
    return Form(Chart(name), elsewhere=known)


@cache
def _rendered(name: str, values: str) -> dict[str, str]:
    try:
        found = _small(name).render(json.loads(values), name="demo", namespace="demo")
    except helm_python.HelmError as error:
        raise Refused(str(error)) from None
    return {path: text for path, text in found.items() if not path.endswith("NOTES.txt")}


@cache
def _small(name: str) -> helm_python.Chart:
    """The chart with one dashboard and one file of rules, since what they say follows from no value."""

    def left_out(folder: str, files: list[str]) -> list[str]:
        return sorted(files)[1:] if folder.endswith(("/dashboards", "/rules")) else []

    with tempfile.TemporaryDirectory() as folder:
        return helm_python.Chart.load(shutil.copytree(CHARTS / name, Path(folder) / name, ignore=left_out))


def _without(node: Any) -> Any:
    """The schema without the fields `values`, and with one of the services that are alike."""
    if not isinstance(node, dict):
        return node
    left = ("values", "billing-service", "appointment-service", "analytics-service")
    return {
        key: {name: _without(each) for name, each in part.items() if name not in left}
        if key == "properties"
        else _without(part)
        for key, part in node.items()
    }
