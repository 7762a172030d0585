"""One resource brings up the platform in real pods: `kubectl apply -f k8s/samples/laptop.yaml`, and what follows.

The tests are one platform's life, in order: each leaves it Ready for the next one.
"""

import re
import time

import httpx2 as httpx
import pytest

from tests.cluster.client import eventually
from tests.cluster.node.node import DOOR, ready
from tests.cluster.node.releases import BROKEN, COMPLAINT, FAILING, NEXT, NOW, SECOND, THIRD
from tests.cluster.pods.care import LAPTOP, NAME, PATIENTS, Care
from tests.cluster.pods.load import Load
from tests.cluster.pods.platform import NAMES

# Lost together: no two of a group talk to each other, so that whoever talks to them lives and has to find them again.
LOST = [
    ("api-gateway", "alertmanager"),
    ("auth-service", "grafana"),
    ("patient-service", "appointment-service", "analytics-service"),
    ("billing-service",),
    ("kafka", "postgres"),
    ("redis", "prometheus"),
]
SECRETS = "--selector=healthcareplatform.io/component=secrets"
AWAY_SECONDS = 60
DEADLINE = 20


@pytest.mark.contract("C04", "C05", "C06")
def test_one_resource_brings_up_a_platform_that_works(care: Care) -> None:
    care.walk()
    table = care.cluster.kubectl("get", "hcp", "--namespace", care.namespace)
    assert "True" in table


@pytest.mark.parametrize("lost", LOST, ids=" ".join)
def test_what_is_deleted_comes_back(care: Care, lost: tuple[str, ...]) -> None:
    care.replace(*lost)
    care.walk(within=120)


def test_credentials_that_were_lost_are_made_anew_for_all_who_use_them(care: Care) -> None:
    """Every Secret is deleted while no operator knows what was in it; the data stays."""
    with care.client() as client:
        patients = _patients(client)
    before = {name: set(care.pods(name)) for name in ("postgres", "redis", *NAMES)}
    with care.without_operator():
        care.cluster.kubectl("delete", "secret", SECRETS, "--namespace", care.namespace)
    care.replaced(before)
    care.walk(within=120)
    with care.client() as client:
        assert _patients(client) > patients > 0


def test_restarts_under_load_fail_no_request(care: Care) -> None:
    with Load(care) as load:
        for name in NAMES:
            deployment = f"deployment/{care.prefix}{name}"
            care.cluster.kubectl("rollout", "restart", deployment, "--namespace", care.namespace)
            care.rolled_out(deployment)
    print(f"{load.answered} requests answered over six restarts")
    assert load.answered > 500
    assert not load.failed, load.failed


def test_new_images_arrive_under_load_after_their_migration(care: Care) -> None:
    """Although the operator is lost in the middle of it."""
    before = care.pods(PATIENTS)
    assert {care.revision(pod) for pod in before.values()} == {NOW}
    with Load(care) as load:
        care.edit(images={"tag": SECOND})
        eventually(lambda: care.pods(PATIENTS).keys() - before, "a pod that migrates", 120)
        care.lose_operator()
        eventually(lambda: care.tags() == {SECOND}, "the second image everywhere", 400, every=1)
    assert not load.failed, load.failed
    care.holds("Ready", 120)
    serving = [pod for pod in care.pods(PATIENTS).values() if ready(pod)]
    assert serving
    for pod in serving:
        assert care.revision(pod) == NEXT
        assert _finished(pod) <= pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    care.walk()


def _finished(pod: dict) -> str:
    """When the pod's migration ended, without an error."""
    [migrate] = pod["status"]["initContainerStatuses"]
    assert migrate["state"]["terminated"]["exitCode"] == 0
    ended: str = migrate["state"]["terminated"]["finishedAt"]
    return ended


@pytest.mark.parametrize(
    ("tag", "cause"),
    [
        (FAILING, rf"migrate of {PATIENTS} ended with exit code 1: sqlalchemy\.exc\..*{COMPLAINT}"),
        (BROKEN, f"{PATIENTS} ended with exit code 3"),
    ],
    ids=[FAILING, BROKEN],
)
def test_an_image_that_does_not_come_up_is_taken_back(care: Care, tag: str, cause: str) -> None:
    serving = {uid for uid, pod in care.pods(PATIENTS).items() if ready(pod)}
    with Load(care, rate=20) as load:
        care.image(tag, deadlineSeconds=DEADLINE)
        care.holds("Degraded", DEADLINE + 90)
        told = care.condition("Degraded")["message"]
        eventually(lambda: set(care.pods(PATIENTS)) == serving, "the old pods alone", 120, every=1)
    assert not load.failed, load.failed
    assert re.search(cause, told), told
    assert f"{PATIENTS}:{tag}" in told
    care.walk()


def test_a_pod_that_is_older_than_its_database_starts_again(care: Care) -> None:
    """The image that was taken back has migrated: what runs now knows less than its database."""
    care.replace(PATIENTS)
    pods = care.pods(PATIENTS).values()
    assert [care.revision(pod) for pod in pods] == [THIRD] * len(pods)
    assert care.tags(PATIENTS) == {SECOND}
    care.walk()
    care.image("")
    care.holds("Ready", 120)


def test_pods_outlive_a_minute_without_their_kubelet(care: Care) -> None:
    before = {uid for name in NAMES for uid, pod in care.pods(name).items() if ready(pod)}
    care.cluster.stop_kubelet()
    gone = time.monotonic()
    eventually(lambda: time.monotonic() - gone > AWAY_SECONDS, "the end of the minute", AWAY_SECONDS + 10, every=1)
    care.cluster.start_kubelet()
    care.cluster.wait_until_ready(90)
    care.cluster.settle(care.namespace, 180)
    assert before == {uid for name in NAMES for uid, pod in care.pods(name).items() if ready(pod)}
    care.walk(within=120)


def test_a_new_platform_of_that_name_takes_over_what_was_retained(care: Care) -> None:
    with care.client() as client:
        patients = _patients(client)
    care.edit(deletionPolicy="Retain")
    care.holds("Ready", 60)
    eventually(lambda: not _owned(care), "volumes that belong to nobody", 30)
    care.cluster.kubectl("delete", "hcp", NAME, "--namespace", care.namespace, "--timeout=60s")
    eventually(lambda: not care.cluster.list("pods", care.namespace), "end of every pod", 180, every=1)
    care.cluster.kubectl("apply", "--namespace", care.namespace, "--filename", str(LAPTOP))
    care.holds("Ready", 400)
    with care.client() as client:
        assert _patients(client) == patients > 0


def test_nothing_is_left_where_nothing_is_to_stay(care: Care) -> None:
    """The sample says Delete: its volumes go as well."""
    assert _owned(care)
    care.cluster.kubectl("delete", "hcp", NAME, "--namespace", care.namespace, "--timeout=60s")
    kinds = "pods,deployments,statefulsets,services,configmaps,secrets,persistentvolumeclaims"
    eventually(lambda: not _left(care, kinds), "an empty namespace", 180, every=1)


def _patients(client: httpx.Client) -> int:
    found: int = client.get("/api/patients").json()["totalElements"]
    return found


def _owned(care: Care) -> list[dict]:
    claims = care.cluster.list("persistentvolumeclaims", care.namespace)
    return [claim for claim in claims if claim["metadata"].get("ownerReferences")]


def _left(care: Care, kinds: str) -> list[str]:
    found = [each["metadata"]["name"] for each in care.cluster.list(kinds, care.namespace)]
    return [name for name in found if name != "kube-root-ca.crt" and not name.startswith(DOOR)]
