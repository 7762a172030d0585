"""What the resource takes, tried on a real API server and on the operator's models: both say the same sentence."""

import re
from typing import Any

import pydantic
import pytest
from healthcare_operator import spec as models
from healthcare_operator.spec.fields import Worded

from tests.cluster.controlplane import ControlPlane, KubectlError
from tests.operator.platforms import resource

Spec = dict[str, Any]
DIGEST = f"@sha256:{'a' * 64}"


def external(host: str) -> Spec:
    return {"redis": {"mode": "external", "host": host}}


def kafka(servers: str) -> Spec:
    return {"kafka": {"mode": "external", "bootstrapServers": servers}}


def ingress(*hosts: str) -> Spec:
    return {"exposure": {"mode": "ingress", "host": hosts[0], "hosts": list(hosts[1:])}}


def image(reference: str) -> Spec:
    return {"services": {"patient-service": {"image": reference}}}


def limit(quantity: str | int) -> Spec:
    return {"services": {"patient-service": {"resources": {"limits": {"cpu": quantity}}}}}


TAKEN: list[Spec] = [
    {
        "images": {"registry": "registry.example:5000/team/", "tag": f"1.2.3{DIGEST}"},
        **ingress("*.care.example", "b.care.example"),
        **external("[fd00::1]"),
        **kafka("b-1.Example:9092,[fd00::1]:9092"),
        "monitoring": {"retention": "1y", "storage": {"size": "1e10"}},
    },
    *({"kafka": {"storage": {"size": size}}} for size in ("1Pi", "0.5Ti", "1e9", "100G", ".5Gi")),
    *(limit(quantity) for quantity in ("1e9", "1Pi", "0.5", "100m", "1E", 2)),
    *(image(each) for each in ("a/b", f"a{DIGEST}", f"r.example/a/b:1{DIGEST}", "localhost:5000/a:1")),
    {"exposure": {"mode": "ingress", "annotations": {"a.example/b": "x" * 200_000}}},
    {
        part: {
            "affinity": {"nodeAffinity": {"a": [{"b": 1}]}},
            "tolerations": [{"operator": "Exists"}],
            "nodeSelector": {"disk": "fast"},
            "priorityClassName": "high",
        }
        for part in ("kafka", "postgres", "redis", "monitoring")
    },
    {"openshift": True, "services": {"api-gateway": {"autoscaling": {"external": True}}}},
]
REFUSED: dict[str, list[Spec]] = {
    "a registry is host": [{"images": {"registry": each}} for each in ("https://r.example", "r.example/Team", "a b")],
    "a tag has letters": [{"images": {"tag": each}} for each in ("a:b", "1@sha256:12", "-a", "")],
    "an image is": [image(each) for each in ("https://a/b", "A/B", "a:b:c", f"a{DIGEST}x")],
    "a host is a DNS name": [ingress("Care.example"), ingress("https://care.example"), ingress("a.example", "*b")],
    "a host is a name or an address": [external("redis://a"), external("a b"), external("a:6379")],
    "servers are host:port": [kafka("a"), kafka("a:1, b:2"), kafka("PLAINTEXT://a:1")],
    "a volume's size": [{"kafka": {"storage": {"size": each}}} for each in ("0", "0Gi", "many", "-1Gi", "1GB")],
    "retention is a number": [{"monitoring": {"retention": each}} for each in ("9999999w", "0d", "1.5d", "soon")],
}


def test_what_kubernetes_takes_is_taken(defined: ControlPlane, namespace: str) -> None:
    for number, each in enumerate(TAKEN):
        models.Spec.model_validate(each)
        defined.apply(resource(each, f"p{number}"), namespace=namespace)


@pytest.mark.parametrize("begins", REFUSED)
def test_what_cannot_work_is_refused_in_a_sentence(defined: ControlPlane, namespace: str, begins: str) -> None:
    sentence = next(each.sentence for each in Worded.known if each.sentence.startswith(begins))
    for each in REFUSED[begins]:
        with pytest.raises(KubectlError, match=re.escape(sentence)):
            defined.apply(resource(each), namespace=namespace)
        with pytest.raises(pydantic.ValidationError, match=re.escape(sentence)):
            models.Spec.model_validate(each)


def test_every_sentence_is_tried() -> None:
    untried = [each.sentence for each in Worded.known if not each.sentence.startswith(tuple(REFUSED))]
    assert untried == []
    assert len(Worded.known) == len(REFUSED)
