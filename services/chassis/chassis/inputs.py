"""Kinds of text that clients send, checked alike in every service (pydantic annotations)."""

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from chassis.characters import INVISIBLE

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's categories Cc and Cs."""

_CONTROLS_IN_NOTES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROLS_IN_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_USUAL = re.compile(r"([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)@([a-z0-9.-]{1,189})")
"""An address of 64 characters before the @ at most is usual: a dot-atom of letters and digits, as nearly all are."""

_any_email = TypeAdapter(EmailStr)


def _free_of(controls: re.Pattern[str], text: str) -> str:
    if controls.search(text):
        raise ValueError("must not have control characters")
    return text


def blank(text: str) -> bool:
    """Whether nothing of the text can be seen: white space, and characters that show as nothing or as a space."""
    return not text.isascii() and all(character.isspace() or ord(character) in INVISIBLE for character in text)


def _seen(text: str) -> str:
    if blank(text):
        raise ValueError("must not be blank")
    return text


def plain(text: str) -> str:
    """The text; ValueError when it has control characters or half characters, which no column can hold or sort."""
    return _free_of(_CONTROLS, text)


def one_line(text: str) -> str:
    """The text; ValueError when it is blank, or not `plain`."""
    return _seen(plain(text))


def lines(text: str) -> str:
    r"""The text, its lines parted by `\n`; ValueError when it is blank or has other control characters."""
    return _seen(_free_of(_CONTROLS_IN_LINES, text.replace("\r\n", "\n")))


def notes(text: str) -> str:
    """The text with its line breaks and tabs, empty where it is blank; ValueError for other control characters."""
    return "" if blank(text) else _free_of(_CONTROLS_IN_NOTES, text)


def all_seen(address: str) -> str:
    """The address; ValueError when it has characters that nobody sees."""
    if not address.isascii() and any(ord(character) in INVISIBLE for character in address):
        raise ValueError("must not have invisible characters")
    return address


def _alone(value: object) -> object:
    # pydantic also takes `John <john@example.com>` and drops the name without a word
    if isinstance(value, str) and "<" in value:
        raise ValueError("must be an email address and nothing else")
    # it knows some of the invisible characters, and drops those of a domain
    return all_seen(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def _accepted(domain: str) -> bool:
    """Whether addresses of this domain are accepted, and written as they came."""
    try:
        return _any_email.validate_python(f"a@{domain}") == f"a@{domain}"
    except ValidationError:
        return False


def _known(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    # The library looks at every address for 20 µs, and people share their domains.
    if isinstance(value, str) and (found := _USUAL.fullmatch(value)) and found.end(1) <= 64 and _accepted(found[2]):
        return value
    return validate(value)


Plain = AfterValidator(plain)
OneLine = AfterValidator(one_line)
Lines = AfterValidator(lines)
Notes = AfterValidator(notes)
AllSeen = AfterValidator(all_seen)
Email = Annotated[EmailStr, WrapValidator(_known), BeforeValidator(_alone), Field(max_length=255)]

WholeNumber = Annotated[int, Field(strict=True)]
"""A number of JSON without a fraction: pydantic would also take `true`, 1.0 and "1" for 1."""
