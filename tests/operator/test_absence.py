"""An operator that is killed or absent: what runs goes on, and nothing is forgotten."""

import time

import pytest

from tests.cluster.controlplane import eventually
from tests.operator.platforms import Platforms
from tests.operator.process import Operator


@pytest.mark.parametrize("after", [0.2, 2.0])
def test_an_operator_that_is_killed_goes_on_where_it_was(
    platforms: Platforms, operator: Operator, after: float
) -> None:
    platforms.apply()
    started = time.monotonic()
    eventually(lambda: time.monotonic() - started > after, "moment to kill it", 5, every=0.01)
    operator.kill()
    operator.start()
    platforms.ready()
    inventory = {(each["kind"], each["name"]) for each in platforms.status()["inventory"]}
    assert {key for key in platforms.children() if key[0] in ("Deployment", "StatefulSet")} <= inventory
