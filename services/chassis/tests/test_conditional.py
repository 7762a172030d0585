"""If-Match and If-None-Match (RFC 9110, section 13.1)."""

import pytest
from chassis.conditional import check_if_match, not_modified
from chassis.errors import Invalid, PreconditionFailed


@pytest.mark.contract("D24")
@pytest.mark.parametrize("header", [None, "*", " * ", '"3"', '"2", "3"', '"3","2"', '\t"3" ,', '"3.7"', 'W/"3", "3"'])
def test_a_write_goes_on_with_the_current_version(header: str | None) -> None:
    check_if_match(header, 3)


@pytest.mark.contract("D24")
@pytest.mark.parametrize("header", ["", '""', '"2"', '"2", "4"', '"33"', '"03"', '"7.3"', 'W/"3"', 'W/"3", "2"'])
def test_a_stale_or_a_weak_tag_stops_it(header: str) -> None:
    with pytest.raises(PreconditionFailed):
        check_if_match(header, 3)


@pytest.mark.contract("D24")
@pytest.mark.parametrize(
    ("header", "tag", "expected"),
    [
        (None, 3, False),
        ("*", 3, True),
        ('"3"', 3, True),
        ('W/"3"', 3, True),
        ('"1", W/"3"', 3, True),
        ('"2"', 3, False),
        ("", 3, False),
        ('"3"', "3.7", False),
        ('"3.7"', "3", False),
        ('W/"3.7"', "3.7", True),
    ],
)
def test_a_read_is_spared_only_when_the_answer_is_the_same(header: str | None, tag: int | str, expected: bool) -> None:
    assert not_modified(header, tag) is expected


@pytest.mark.contract("D24", "D09")
@pytest.mark.parametrize("header", ["3", '"3', '"3" "4"', 'w/"3"', "3, *", '*, "3"'])
def test_what_is_no_list_of_tags_is_bad_input(header: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_if_match(header, 3)
    assert caught.value.detail == "If-Match has to be a list of entity tags"
    with pytest.raises(Invalid):
        not_modified(header, 3)
