"""What a platform may be called, since everything that it is made of is called by it."""

import re

from healthcare_operator.spec.fields import Rule

LONGEST = 26
"""Strimzi's pods are `<name>-kafka-<name>-<id>`, which has to be a DNS label (63) with ids up to 99.

The next tightest are the StatefulSets that prometheus-operator makes, `alertmanager-<name>-monitoring`: Kubernetes
labels their pods with the name and a hash of ten, so that 52 is the most (28 for ours).
"""

LETTERS = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""RFC 1035 (2.3.1), as Services and CloudNativePG's clusters want it; names of resources may be RFC 1123 subdomains."""

TOO_LONG = f"the name of a platform has at most {LONGEST} characters: its pods and Services are called by it"
NO_LABEL = (
    "the name of a platform begins with a letter and has small letters, digits and dashes only:"
    " its Services are called by it"
)


def rules() -> list[Rule]:
    """For the resource as a whole; tried when it is made, so that an older one can still be changed and told of."""
    return [
        _when_made(f"self.metadata.name.size() <= {LONGEST}", TOO_LONG),
        _when_made(f"self.metadata.name.matches('{LETTERS}')", NO_LABEL),
    ]


def fault(name: str) -> str | None:
    """Why nothing can be called so; None where it can."""
    if len(name) > LONGEST:
        return TOO_LONG
    return None if re.fullmatch(LETTERS, name) else NO_LABEL


def _when_made(expression: str, message: str) -> Rule:
    return {"rule": f"oldSelf.hasValue() || {expression}", "message": message, "optionalOldSelf": True}
