"""The API server's own record of who asked for what, and what became of it; of service accounts outside kube-system."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """What a rule of a role allows: a verb on a resource, `name/subresource` as in a role."""

    group: str
    resource: str
    verb: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was decided and answered; `right` is None where no resource was asked for."""

    right: Right | None
    path: str
    denied: bool
    status: int


def requests(log: Path, user: str) -> Iterator[Request]:
    """Every request of a user, in order."""
    with log.open() as lines:
        for line in lines:
            if user in line and (said := json.loads(line))["user"]["username"] == user:
                yield _request(said)


def used(log: Path, user: str) -> set[Right]:
    """The rights that a user's requests needed. An apply that makes an object needs `create` besides `patch`."""
    found = set()
    for each in requests(log, user):
        if each.right and not each.denied:
            found.add(each.right)
            if each.right.verb == "patch" and each.status == 201:
                found.add(Right(each.right.group, each.right.resource, "create"))
    return found


def granted(rules: list[dict[str, Any]]) -> set[Right]:
    """The rights that the rules of a role spell out."""
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _request(said: dict[str, Any]) -> Request:
    about, right = said.get("objectRef"), None
    if about and "resource" in about:
        name = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
        right = Right(about.get("apiGroup", ""), name, said["verb"])
    decision = said.get("annotations", {}).get("authorization.k8s.io/decision")
    return Request(right, said["requestURI"], decision == "forbid", said.get("responseStatus", {}).get("code", 0))
