"""Kinds of text that clients send, checked alike in every service (pydantic annotations)."""

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's categories Cc and Cs."""

_USUAL = re.compile(r"([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)@([a-z0-9.-]{1,189})")
"""An address of 64 characters before the @ at most is usual: a dot-atom of letters and digits, as nearly all are."""

_any_email = TypeAdapter(EmailStr)


def plain(text: str) -> str:
    """The text; ValueError when it has control characters or half characters, which no column can hold or sort."""
    if _CONTROLS.search(text):
        raise ValueError("must not have control characters")
    return text


def _alone(value: object) -> object:
    # pydantic also takes `John <john@example.com>` and drops the name without a word
    if isinstance(value, str) and "<" in value:
        raise ValueError("must be an email address and nothing else")
    return value


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


WholeNumber = Annotated[int, Field(strict=True)]
"""A number of JSON without a fraction: pydantic would also take `true`, 1.0 and "1" for 1."""

Plain = AfterValidator(plain)
Email = Annotated[EmailStr, WrapValidator(_known), BeforeValidator(_alone), Field(max_length=255)]
