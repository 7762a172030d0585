"""Whatever changes what is cached records the eviction in the same statement."""

import importlib
import pkgutil
import re

import appointment_service
import patient_service
import pytest
from chassis.statement import Statement

UNSEEN = {
    "patient_service.accounts._REQUESTED": "no read shows when an account was asked for",
    "patient_service.keys._FILL": "no read shows the keys of texts",
    "patient_service.keys._GIVE_WAY": "no read shows the keys of texts",
    "patient_service.republish._RAISE": "the same transaction forgets the epoch",
    "appointment_service.renumber._RAISE": "the same transaction forgets the epoch",
}
CHANGES = {
    patient_service: re.compile(r"\b(UPDATE|DELETE FROM) patient\b"),  # a new patient is in no entry
    appointment_service: re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) appointment\b"),
}


def statements() -> list[tuple[str, str]]:
    """(name, SQL) of every statement that changes what a service caches."""
    found = []
    for package, changes in CHANGES.items():
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name.endswith(("__main__", "migrations")):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, Statement) and changes.search(value.sql):
                    found.append((f"{module.name}.{name}", value.sql))
    return sorted(found)


@pytest.mark.contract("Z02")
def test_every_change_of_what_is_cached_is_recorded() -> None:
    found = dict(statements())
    assert {"patient_service.service._UPDATE", "appointment_service.service._INSERT"} <= found.keys()
    assert {name for name, sql in found.items() if "INSERT INTO cache_eviction" not in sql} == UNSEEN.keys()
