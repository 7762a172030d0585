"""What the operator keeps to itself, what it tells, and what it is allowed."""

import base64
import json
import re
from typing import Any

from healthcare_operator import reference
from healthcare_operator.events import BEGUN, TOLD, Word, transitions

from tests.cluster.controlplane import eventually
from tests.operator.platforms import Platforms
from tests.operator.process import Operator

WORDS = [BEGUN, *TOLD.values()]


def test_no_secret_leaves_its_place(platforms: Platforms, operator: Operator) -> None:
    platforms.apply()
    platforms.ready()
    secrets = list(platforms.children("secrets").values())
    values = {
        base64.b64decode(each["data"][key]).decode()
        for each in secrets
        for key in each["data"]
        if "password" in key or "jwt" in key
    }
    assert len(values) >= 8
    shown = [
        platforms.cluster.list(kind, platforms.namespace)
        for kind in ("hcp", "events", "configmaps", "deployments", "statefulsets")
    ]
    text = json.dumps(shown) + operator.log.read_text()
    assert not [value for value in values if value in text]
    assert min(len(value) for value in values) >= 43, "256 bits"


def told(platforms: Platforms) -> list[tuple[str, str, str]]:
    """Type, reason and message of each Event of a platform, as `kubectl get events` shows them."""
    columns = "custom-columns=TYPE:.type,REASON:.reason,KIND:.involvedObject.kind,MESSAGE:.message"
    shown = platforms.kubectl("get", "events", "--no-headers", "-o", columns)
    rows = [line.split(None, 3) for line in shown.splitlines()]
    return [(kind, reason, said.strip()) for kind, reason, of, said in rows if of == "HealthcarePlatform"]


def test_events_tell_of_transitions_and_of_nothing_else(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    eventually(lambda: len(told(platforms)) == 2, "two Events", 15)
    platforms.edit({"services": {"billing-service": {"env": {"LOG_LEVEL": "debug"}}}})
    platforms.ready()
    platforms.edit({"kafka": {"config": {"listeners": "mine"}}})
    platforms.holds("Stalled", "True")
    platforms.edit({"kafka": {"config": None}})
    platforms.ready()
    eventually(lambda: "SpecAccepted" in {reason for _, reason, _ in told(platforms)}, "the last Event", 15)
    reasons = [reason for _, reason, _ in told(platforms)]
    assert {"Installing", "PlatformReady", "InvalidSpec", "SpecAccepted"} <= set(reasons)
    assert len(reasons) <= 8
    for kind, reason, said in told(platforms):
        assert (kind, said) in {(word.type, said) for word in WORDS if word.reason == reason and fits(word, said)}


def fits(word: Word, said: str) -> bool:
    """Whether it is this sentence, with a reason in it or without."""
    head, _, tail = word.sentence.partition("{why}")
    return said.startswith(head) and said.endswith(tail) and (said == head or "{" not in said)


def test_each_event_is_in_the_documentation() -> None:
    section = reference.DOCUMENT.read_text().partition("## Events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)
    assert sorted(rows) == sorted((word.reason, word.type) for word in WORDS)


def test_what_is_said_of_a_transition() -> None:
    def conditions(**held: str) -> dict[str, Any]:
        split = {kind: told.split(":") for kind, told in held.items()}
        return {
            "conditions": [{"type": k, "status": s, "reason": r, "message": "because"} for k, (s, r) in split.items()]
        }

    def said(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        return [word.reason for word, _ in transitions(before, after)]

    calm = conditions(DependenciesReady="True:Installed", Drifted="False:x", Degraded="False:x", Ready="True:Ready")
    begun = conditions(
        DependenciesReady="True:Installed", Drifted="False:x", Degraded="False:x", Ready="False:NotReady"
    )
    stalled = conditions(Stalled="True:InvalidSpec", Ready="False:Stalled")
    paused = conditions(Suspended="True:Suspended", Ready="True:Suspended")
    failed = conditions(Degraded="True:UpgradeFailed", Ready="False:NotReady", DependenciesReady="True:Installed")
    lacking = conditions(DependenciesReady="False:CRDMissing", Ready="False:NotReady")
    assert said({}, begun) == ["Installing"]
    assert said({}, calm) == said(begun, calm) == ["PlatformReady"]
    assert said({}, stalled) == ["InvalidSpec"]
    assert said(calm, calm) == []
    assert said(calm, stalled) == ["PlatformNotReady", "InvalidSpec"]
    assert said(stalled, calm) == ["PlatformReady", "SpecAccepted"]
    assert said(calm, paused) == ["Suspended"]
    assert said(paused, calm) == ["Resumed"]
    assert said(begun, failed) == ["UpgradeFailed"]
    assert said(failed, calm) == ["PlatformReady", "Recovered"]
    assert said({}, lacking) == ["Installing", "DefinitionMissing"]
    assert said(lacking, begun) == ["DefinitionsInstalled"]


def test_two_platforms_share_a_namespace(platforms: Platforms) -> None:
    platforms.apply(name="one")
    platforms.apply(name="two")
    platforms.ready("one")
    platforms.ready("two")
    ones = set(platforms.children(name="one"))
    platforms.kubectl("delete", "hcp", "two", "--timeout=20s")
    eventually(lambda: not platforms.children(name="two"), "end of the second", 60)
    assert set(platforms.children(name="one")) == ones
    platforms.ready("one")
