"""`helm upgrade --reuse-values`: today's templates with the values that an older release computed."""

import json
import shutil
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.charts.rendering import CHARTS, INFRASTRUCTURE, OPERATOR, SERVICES, WATCHED, Manifest
from tests.charts.strict import objects

OLD = json.loads((Path(__file__).parent / "data" / "values-7a581ae.json").read_text())
"""The charts' values as they were committed in 7a581ae; Helm keeps them with the release, the library's included."""
CASES: list[tuple[str, Manifest]] = [
    *((name, {}) for name in (*SERVICES, *INFRASTRUCTURE, OPERATOR)),
    ("patient-service", {"database": {"existingSecret": "db"}, "autoscaling": {"enabled": True}}),
    ("api-gateway", {"ingress": {"enabled": True, "host": "care.example", "annotations": {"a": "b"}}}),
    ("kafka", {"mode": "strimzi", **WATCHED["kafka"]}),
    ("postgres", {"mode": "cloudnative-pg"}),
    *(("monitoring", {"mode": mode}) for mode in ("prometheus-operator", "external")),
]


@pytest.mark.contract("Z07")
@pytest.mark.parametrize(("name", "given"), CASES)
def test_values_of_an_older_release_render(name: str, given: Manifest, tmp_path: Path) -> None:
    chart = shutil.copytree(CHARTS / name, tmp_path / name)
    computed = {**OLD["charts"][name], "service": OLD["library"]}
    (chart / "values.yaml").write_text(yaml.safe_dump(computed))
    for template, text in helm_python.Chart.load(chart).render(given, name="old", namespace="old").items():
        if template.endswith("NOTES.txt"):
            continue
        found = [each for each in yaml.safe_load_all(text) if each]
        assert len(objects(text)) == len(found)
        for each in found:
            if "." not in each["apiVersion"].partition("/")[0]:
                kubernetes_validate.validate(each, "1.31", strict=True)
