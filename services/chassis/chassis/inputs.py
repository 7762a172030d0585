"""Kinds of text that clients send, checked alike in every service (pydantic annotations)."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field


def plain(text: str) -> str:
    """The text; ValueError when it has control characters or half characters, which no column can hold or sort."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("must not have control characters")
    return text


def _alone(value: object) -> object:
    # pydantic also takes `John <john@example.com>` and drops the name without a word
    if isinstance(value, str) and "<" in value:
        raise ValueError("must be an email address and nothing else")
    return value


Plain = AfterValidator(plain)
Email = Annotated[EmailStr, BeforeValidator(_alone), Field(max_length=255)]
