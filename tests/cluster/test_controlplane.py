"""The control plane that the other suites stand on is Kubernetes, and behaves like it."""

import json

import pytest

from tests.cluster import build
from tests.cluster.components import fetch
from tests.cluster.controlplane import ControlPlane, KubectlError, Manifest, eventually


def config_map(name: str, **extra: object) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "value"}, **extra}


def test_it_says_that_it_is_ready_and_which_version_it_is(cluster: ControlPlane) -> None:
    assert fetch(f"{cluster.server}/readyz", cluster.ca, cluster.token) == "ok"
    version = json.loads(cluster.kubectl("version", "--output=json"))
    assert version["serverVersion"]["gitVersion"] == build.kubernetes_version()
    assert version["clientVersion"]["gitVersion"] == build.kubernetes_version()


def test_nobody_comes_in_without_a_token(cluster: ControlPlane) -> None:
    assert json.loads(fetch(f"{cluster.server}/api/v1/secrets", cluster.ca))["code"] == 403
    assert json.loads(fetch(f"{cluster.server}/api/v1/secrets", cluster.ca, "wrong"))["code"] == 401


def test_apply_refuses_a_field_that_does_not_exist(cluster: ControlPlane, namespace: str) -> None:
    cluster.apply(config_map("plain"), namespace=namespace)
    with pytest.raises(KubectlError, match="colour"):
        cluster.apply(config_map("strange", colour="red"), namespace=namespace)
    assert cluster.get("configmap", "plain", namespace)
    assert cluster.get("configmap", "strange", namespace) is None


def test_what_is_read_directly_is_what_kubectl_shows(cluster: ControlPlane, namespace: str) -> None:
    def shown(kind: str, *words: str) -> Manifest:
        return json.loads(cluster.kubectl("get", kind, *words, "--namespace", namespace, "--output=json"))

    cluster.apply(config_map("plain"), namespace=namespace)
    for kind, name in (("configmap", "plain"), ("cm", "plain"), ("ConfigMaps", "plain"), ("ns", namespace)):
        assert cluster.get(kind, name, namespace) == shown(kind, name)
    kinds = "deployments.apps,configmaps,serviceaccounts"
    eventually(lambda: cluster.list(kinds, namespace) == shown(kinds)["items"] != [], "the same list", 60)
    assert cluster.list(kinds, namespace, "no=such") == []
    assert cluster.get("configmap", "absent", namespace) is None
    with pytest.raises(KubectlError, match="resource type"):
        cluster.get("nonsense", "plain", namespace)


def test_children_go_with_their_owner(cluster: ControlPlane, namespace: str) -> None:
    cluster.apply(config_map("owner"), namespace=namespace)
    owner = cluster.get("configmap", "owner", namespace)
    assert owner
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    ]
    cluster.apply(child, namespace=namespace)
    cluster.kubectl("delete", "configmap", "owner", "--namespace", namespace)
    eventually(lambda: cluster.get("configmap", "child", namespace) is None, "garbage collection", 60)


def test_a_deployment_gets_its_pods(cluster: ControlPlane, namespace: str) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=web", "--replicas=2", "--namespace", namespace)
    eventually(lambda: len(cluster.list("pods", namespace)) == 2, "two pods", 60)


def test_objects_survive_a_crash_of_the_api_server(cluster: ControlPlane, namespace: str) -> None:
    cluster.apply(config_map("kept"), namespace=namespace)
    before = cluster.get("configmap", "kept", namespace)
    cluster.kill_apiserver()
    with pytest.raises(KubectlError):
        cluster.get("configmap", "kept", namespace)
    cluster.start_apiserver()
    assert cluster.get("configmap", "kept", namespace) == before
    cluster.apply(config_map("later"), namespace=namespace)
