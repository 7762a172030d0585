"""Each string that a chart or the resource takes arrives byte for byte, or is refused by the name of its field.

Fields are found in the schemas, so that a new one is tried by itself. A harmless value shows where a field arrives:
with any other value the same objects have to come out, with that value in the place of the harmless one.
"""

import pytest

from tests.charts.arrival import changed, noticed, unnamed
from tests.charts.contexts import contexts
from tests.charts.fields import Form
from tests.charts.forms import FIRST, Resource, chart
from tests.charts.rendering import INFRASTRUCTURE, OPERATOR, loaded
from tests.charts.strict import objects

CASES = (FIRST, "auth-service", "api-gateway", OPERATOR, *INFRASTRUCTURE)
"""Services have one schema and the same templates: of the second and third only what comes out of no earlier one."""


@pytest.mark.contract("Z07")
@pytest.mark.parametrize("name", CASES)
def test_a_string_that_a_chart_takes_arrives_byte_for_byte(name: str) -> None:
    assert changed(chart(name)) == []


@pytest.mark.contract("Z07")
@pytest.mark.parametrize("name", [name for name in CASES if name not in CASES[1:3]])
def test_a_string_that_a_chart_refuses_is_refused_by_the_name_of_its_field(name: str) -> None:
    assert unnamed(chart(name)) == []


@pytest.mark.contract("Z07")
@pytest.mark.parametrize("names", [CASES[:3], *((name,) for name in CASES[3:])])
def test_every_string_that_a_chart_takes_has_an_effect(names: tuple[str, ...]) -> None:
    """What a chart would ignore is refused by name; a value of all services may be one service's alone."""
    arrived = {field for name in names for field in chart(name).arrived}
    left = [field for field in chart(names[0]).fields if field not in arrived]
    assert [str(field) for field in left if not noticed(chart(names[0]), field)] == []


@pytest.mark.contract("Z07")
def test_a_string_that_the_resource_takes_arrives_byte_for_byte() -> None:
    form = Form(Resource())
    assert changed(form) == []
    assert unnamed(form) == []
    left = [field for field in form.fields if field not in form.arrived]
    assert [str(field) for field in left if not noticed(form, field)] == []


@pytest.mark.contract("Z07")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("label", ["0012345", "1e3", "0x10", "on", "no", "null", "y", "true", "12345"])
def test_releases_and_namespaces_have_the_names_that_they_were_given(name: str, label: str) -> None:
    for template, text in loaded(name).render(contexts(name)[-1], name=label, namespace=label).items():
        for each in () if template.endswith("NOTES.txt") else objects(text):
            assert each["metadata"].get("namespace") in (label, None), template
            instance = each["metadata"].get("labels", {}).get("app.kubernetes.io/instance", label)
            assert instance.startswith(label) or label in name  # a release named for its chart
