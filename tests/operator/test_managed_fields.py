"""Which objects need no apply after a start: those that are as they should be, and of which nothing else is ours."""

from copy import deepcopy
from typing import Any

import pytest
from healthcare_operator.managed_fields import left_to_others, settled
from healthcare_operator.patience import OF_A_KIND_SECONDS, OF_A_PASS_SECONDS, Patience
from healthcare_operator.plan import plan
from healthcare_operator.platform import MANAGER, Ref

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "care", "namespace": "here", "labels": {"a": "b"}},
    "spec": {"replicas": 3, "containers": [{"name": "x", "image": "x:1", "ports": [{"containerPort": 80}]}]},
}
PORT = 'k:{"containerPort":80,"protocol":"TCP"}'
FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:containers": {'k:{"name":"x"}': {".": {}, "f:name": {}, "f:image": {}, "f:ports": {PORT: {".": {}}}}},
    },
}


def live(fields: dict[str, Any] | None = None, manager: str = MANAGER, **spec: Any) -> dict[str, Any]:
    """The object as the API server shows it, with what it adds."""
    found = deepcopy(WANTED)
    found["metadata"] |= {"resourceVersion": "7", "uid": "u"}
    found["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
    found["spec"] |= {"strategy": {"type": "RollingUpdate"}, **spec}
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": FIELDS if fields is None else fields}
    found["metadata"]["managedFields"] = [{"manager": "kubectl", "operation": "Update", "fieldsV1": {}}, entry]
    return found


def with_more(path: str) -> dict[str, Any]:
    """Fields that an older release applied and this one does not."""
    fields = deepcopy(FIELDS)
    fields["f:spec"][path] = {}
    return fields


@pytest.mark.parametrize(
    ("found", "needs_none"),
    [
        (live(), True),
        (live(replicas=4), False),
        (live(containers=[]), False),
        (live(manager="kubectl"), False),
        (live(fields=with_more("f:paused")), False),
        (live(fields={"f:spec": {"f:containers": {'k:{"name":"y"}': {".": {}}}}}), False),
        (live(fields={"f:metadata": {"f:finalizers": {'v:"x"': {}}}}), False),
    ],
)
def test_what_needs_no_apply(found: dict[str, Any], needs_none: bool) -> None:
    assert settled(WANTED, found) == needs_none
    steps = plan({"api-gateway": [WANTED]}, {Ref.of(found): found}, {})
    assert [each.reason for each in steps.applies] == ([] if needs_none else ["adopt"])
    assert len(steps.settled) == needs_none


def test_pods_are_handed_over_only_by_the_one_who_held_their_number() -> None:
    without = {**WANTED, "spec": {"containers": WANTED["spec"]["containers"]}}
    assert left_to_others(without, live(replicas=5)) == 5
    assert left_to_others(WANTED, live(replicas=5)) is None
    assert left_to_others(without, live(fields={"f:metadata": {}})) is None
    assert left_to_others({**without, "kind": "StatefulSet"}, live()) is None


def test_a_kind_that_takes_long_to_refuse_does_not_use_up_the_pass() -> None:
    patience = Patience()
    patience.spend("KafkaTopic", OF_A_KIND_SECONDS)
    assert not patience.left("KafkaTopic")
    assert patience.left("Deployment")
    for kind in ("Secret", "Service", "ConfigMap"):
        patience.spend(kind, OF_A_PASS_SECONDS / 3)
    assert not patience.left("Deployment")
    assert patience.postponed == 2
