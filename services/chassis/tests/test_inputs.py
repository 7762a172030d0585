"""Texts of clients: the short way says what the library and Unicode say."""

import unicodedata
from typing import Any

import pytest
from chassis.inputs import Email, plain
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import EmailStr, TypeAdapter, ValidationError

OURS: TypeAdapter[str] = TypeAdapter(Email)
THEIRS: TypeAdapter[str] = TypeAdapter(EmailStr)
LOCAL = st.text("abZ09._-+'é @\n", max_size=6) | st.integers(60, 66).map(lambda length: "a" * length)
DOMAINS = st.sampled_from(
    [
        *["example.com", "a.b.c.de", "xn--bcher-kva.example", "1.2.3.4", "a.1", "com", "a--b.com", "bücher.de"],
        *["Example.com", "example.COM", "a..com", ".com", "-a.com", "a-.com", "a.com.", "xn--a.com", "ab--c.com"],
        *["localhost", "a.test", "x.local", "example.invalid", "a" * 63 + ".com", "a" * 64 + ".com"],
        *[".".join(["a" * 60] * 4)[:length] + ".com" for length in range(182, 194)],
    ]
)


def verdict(adapter: TypeAdapter[str], text: str) -> Any:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        return [(each["type"], each["msg"]) for each in error.errors()]


@given(LOCAL, DOMAINS)
@example("john.doe", "example.com")
@example("a" * 66, ".".join(["a" * 60] * 4)[:185] + ".com")
@example("a" * 64, ".".join(["a" * 60] * 4)[:189])
def test_an_address_is_what_the_library_says(local: str, domain: str) -> None:
    assert verdict(OURS, f"{local}@{domain}") == verdict(THEIRS, f"{local}@{domain}")


@pytest.mark.parametrize("text", ["john", "@example.com", "john@", "a@b@example.com", "john@example.com\n", ""])
def test_what_is_no_address_at_all(text: str) -> None:
    assert verdict(OURS, text) == verdict(THEIRS, text)


def test_a_name_beside_an_address_is_refused() -> None:
    assert "nothing else" in verdict(OURS, "John <john@example.com>")[0][1]


def test_control_and_half_characters_are_those_of_unicode() -> None:
    for number in range(0x110000):
        character = chr(number)
        try:
            allowed = plain(character) == character
        except ValueError:
            allowed = False
        assert allowed == (unicodedata.category(character) not in ("Cc", "Cs")), hex(number)
