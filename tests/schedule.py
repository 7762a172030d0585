"""The order of a run in several workers, when its servers end, and what `--quick` leaves out.

pytest-xdist gives whole files to whoever is free, so the longest come first; a worker keeps its databases from file to
file. A whole platform ends with the last test in a row that uses it: two cores would go on paying for one that idles.
What has to be compiled first is waited for outside a test's time limit.
"""

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from tests.cluster import build
from tests.lacking import Lacking

LONGEST = (
    "tests/operator/test_leader.py",
    "tests/operator/test_day_two.py",
    "tests/chaos/test_outages.py",
    "hpctl/tests/test_dlq.py",
    "tests/operator/test_discretion.py",
    "tests/monitoring/test_dashboards.py",
    "hpctl/tests/test_backup.py",
    "tests/charts/test_corpus.py",
    "tests/operator/test_names.py",
    "hpctl/tests/test_stack.py",
    "tests/console/test_browser.py",
    "tests/operator/test_api_errors.py",
    "hpctl/tests/test_machines.py",
    "tests/operator/test_deletion.py",
    "tests/operator/test_kafka_users.py",
    "tests/chaos/test_database_faults.py",
    "tests/operator/test_truth.py",
    "tests/operator/test_first_hour.py",
    "tests/operator/test_lifecycle.py",
    "tests/chaos/test_deaths.py",
    "tests/operator/test_permissions.py",
    "tests/operator/test_drift.py",
    "tests/operator/test_credentials.py",
    "tests/operator/test_kafka_version.py",
    "tests/monitoring/test_operator_board.py",
    "tests/operator/test_gone.py",
    "tests/operator/test_webhook.py",
    "tests/e2e/test_login_flood.py",
    "tests/coherence/test_model.py",
    "tests/cluster/test_standin.py",
    "tests/operator/test_sharing.py",
    "tests/operator/test_rules.py",
    "services/chassis/tests/consumer/test_dead_letters.py",
    "tests/coherence/test_faults.py",
    "hpctl/tests/test_spawned.py",
    "tests/clients/test_documents.py",
    "tests/e2e/test_forged.py",
    "tests/cluster/test_charts_strict.py",
    "tests/coherence/test_services.py",
    "tests/operator/test_refused.py",
    "services/chassis/tests/data/test_relay.py",
    "services/analytics-service/tests/test_s3.py",
    "tests/operator/test_autoscaler.py",
    "hpctl/tests/test_usage.py",
    "services/chassis/tests/consumer/test_faults.py",
    "hpctl/tests/test_projection.py",
    "tests/operator/test_logs.py",
    "tests/operator/test_absence.py",
    "tests/clients/test_postman.py",
    "tests/charts/test_checkov.py",
    "services/api-gateway/tests/test_deadlines.py",
    "hpctl/tests/test_alone.py",
    "tests/traces/test_traces.py",
    "tests/monitoring/test_rules.py",
    "services/chassis/tests/consumer/test_watchdog.py",
)
"""Files that take half a minute or more on two busy cores, the longest first; the others follow by folder."""

WHOLE_PLATFORMS = {"stack", "platform", "cluster", "third_party", "standin", "operator", "browser", "observatory"}
"""Fixtures that start a platform, a control plane, a browser or a monitoring stack."""

KINDS = ({"stack"}, {"platform"}, {"cluster"})
"""Whole platforms by kind, in the order in which their files come; what needs none comes last."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick`: the inner loop."""
    parser.addoption("--quick", action="store_true", help="leave out the longest files and whole platforms")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect for `--quick`; sort whole files, in workers alone: a person's own selection keeps its order.

    Files of one kind of platform are neighbours, so that a worker starts each kind about once.
    """
    if config.getoption("quick"):
        quick = [item for item in items if _file(item) not in LONGEST and not _needs(item, WHOLE_PLATFORMS)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(quick)])
        items[:] = quick
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = {name: place for place, name in enumerate(LONGEST)}
        kind: dict[str, int] = {}
        for item in items:
            kind[_file(item)] = min(kind.get(_file(item), len(KINDS)), _kind(item))
        items.sort(key=lambda item: (kind[_file(item)], place.get(_file(item), len(place))))


_platforms: dict[pytest.FixtureDef[Any], pytest.FixtureRequest] = {}


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> Iterator[None]:
    """Remember the whole platforms of the session that run."""
    if fixturedef.scope == "session" and fixturedef.argname in WHOLE_PLATFORMS:
        _platforms[fixturedef] = request
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End those that no test of the next file uses; one that is asked for again starts again."""
    try:
        return (yield)
    finally:
        if nextitem and _file(nextitem) != _file(item):
            used = _used_by_file(item.session)[_file(nextitem)]
            for definition in [*reversed(_platforms)]:
                if definition not in used:
                    definition.finish(_platforms.pop(definition))


@functools.cache
def _used_by_file(session: pytest.Session) -> Mapping[str, set[pytest.FixtureDef[Any]]]:
    used: dict[str, set[pytest.FixtureDef[Any]]] = {}
    for item in session.items:
        used.setdefault(_file(item), set()).update(_definitions(item))
    return used


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Build the API server where the test needs it: a cold build takes longer than any test may."""
    if _needs(item, {"cluster"}):
        _build_api_server()
    return (yield)


def _kind(item: pytest.Item) -> int:
    return next((rank for rank, fixtures in enumerate(KINDS) if _needs(item, fixtures)), len(KINDS))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _needs(item: pytest.Item, fixtures: set[str]) -> bool:
    return any(each.argname in fixtures and each.scope != "function" for each in _definitions(item))


def _definitions(item: pytest.Item | None) -> Iterable[pytest.FixtureDef[Any]]:
    """Of each name that a test uses, the definition that is nearest to it."""
    found = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
    return (definitions[-1] for definitions in found)


@functools.cache
def _build_api_server() -> None:
    with contextlib.suppress(Lacking):  # the fixture says so, to the tests that need it
        build.kubernetes()
