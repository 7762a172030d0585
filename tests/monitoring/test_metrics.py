"""docs/metrics.md says what the running platform measures: everything, and nothing else."""

import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, Stack
from tests.monitoring import live
from tests.monitoring.live import Family

PAGE = (ROOT / "docs" / "metrics.md").read_text()
ROW = re.compile(
    r"^\| `(?P<name>[a-z_]+)` \| (?P<type>\w+) \| (?P<labels>[\w, ]*?) ?\| (?P<meaning>.+) \|$", re.MULTILINE
)
COUNTED = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other", "any"}
UNBOUNDED = re.compile(r"@|[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{16}|\d{4}-\d\d-\d\d|\s|/\d")


def documented(section: str = "") -> Iterator[tuple[str, str, set[str]]]:
    """Name, type and labels of each metric in a section of the page; the services' comes first and has no heading."""
    sections = dict(re.findall(r"(?:^## (.+)\n|\A)((?:(?!## ).*\n)+)", PAGE, re.MULTILINE))
    for row in ROW.finditer(sections[section]):
        yield row["name"], row["type"], set(row["labels"].split(", ")) - {""}


@pytest.mark.contract("O06")
def test_the_table_lists_exactly_what_is_served(busy: dict[str, list[Family]]) -> None:
    served = {(family.full_name, family.type) for families in busy.values() for family in families}
    assert served == {(name, kind) for name, kind, _ in documented()}


def test_the_labels_are_those_of_the_table(busy: dict[str, list[Family]]) -> None:
    labels = {name: wanted for name, _, wanted in documented()}
    seen = {
        (family.full_name, frozenset(sample) - {"le"})
        for families in busy.values()
        for family in families
        for sample in family.labels
    }
    assert {name for name, _ in seen} >= {"cache_requests_total", "consumer_lag", "gateway_limit_decisions_total"}
    assert {(name, found) for name, found in seen if found != labels[name]} == set()


def test_no_label_grows_with_what_clients_send(busy: dict[str, list[Family]]) -> None:
    values = {
        (family.full_name, label, value)
        for families in busy.values()
        for family in families
        for sample in family.labels
        for label, value in sample.items()
        if label not in {"le", "version"}
    }
    assert {each for each in values if UNBOUNDED.search(each[2])} == set()
    for service, families in busy.items():
        assert sum(len(family.labels) for family in families) < 2000, service


def test_no_label_has_a_word_of_a_client(stack: Stack) -> None:
    live.strange_requests(stack)  # now there is a series for every kind of answer to them
    before = _series(live.families(stack))
    words = live.strange_requests(stack)
    after = _series(live.families(stack))
    assert {value for sample in after for _, value in sample if any(word in value.upper() for word in words)} == set()
    methods = {value for sample in after for label, value in sample if label == "method"}
    assert {method for method in methods if not method.startswith("/")} <= COUNTED
    assert len(after - before) < len(words) / 2


def _series(found: dict[str, list[Family]]) -> set[frozenset[tuple[str, str]]]:
    """Each series of each service, by all that tells it from the others; of a histogram, one."""
    return {
        frozenset({("service", service), ("name", family.full_name), *sample.items()})
        for service, families in found.items()
        for family in families
        for sample in family.labels
        if "le" not in sample
    }


def test_each_process_says_what_it_is(busy: dict[str, list[Family]]) -> None:
    for service, families in busy.items():
        build = next(family for family in families if family.full_name == "build_info")
        assert [sample["service"] for sample in build.labels] == [service]
