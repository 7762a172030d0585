"""Texts of clients: the short way says what the library and Unicode say."""

import unicodedata
from typing import Any

import pytest
from chassis.characters import DEFAULT_IGNORABLE, INVISIBLE
from chassis.inputs import Email, blank, lines, notes, one_line, plain
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


@pytest.mark.contract("D20")
def test_what_nobody_sees_is_blank_in_every_kind_of_text_and_refused_in_an_address() -> None:
    for number in INVISIBLE:
        character = chr(number)
        assert blank(character)
        for check in (one_line, lines):
            with pytest.raises(ValueError, match="must not be blank"):
                check(f"{character} {character}")
        assert notes(f"{character}\n{character}") == ""
        assert one_line(f"a{character}") == f"a{character}"  # a joiner belongs to some names
        for address in ("a*b@example.com", "*a@example.com", "a@exam*ple.com", "a@example.com*"):
            assert isinstance(verdict(OURS, address.replace("*", character)), list), hex(number)


def test_every_character_that_formats_text_is_invisible() -> None:
    """All of Unicode's category Cf but those that show a sign, such as Arabic's number signs."""
    shown = {number for number in range(0x110000) if unicodedata.category(chr(number)) == "Cf"} - INVISIBLE
    signs = ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN")
    assert all(unicodedata.name(chr(number)).startswith(signs) for number in shown)
    assert not any(unicodedata.category(chr(number)).startswith("P") for number in DEFAULT_IGNORABLE)


@pytest.mark.contract("D20")
@pytest.mark.parametrize(
    ("check", "taken", "refused"),
    [
        (one_line, "", "\n\t\r\v\x85\0"),
        (lines, "\n", "\t\r\v\x85\0"),
        (notes, "\n\t\r", "\v\x85\0"),
    ],
)
def test_which_control_characters_are_taken(check: Any, taken: str, refused: str) -> None:
    for character in taken:
        assert check(f"a{character}b") == f"a{character}b"
    for character in refused:
        with pytest.raises(ValueError, match="control characters"):
            check(f"a{character}b")
    assert lines("a\r\nb") == "a\nb"
