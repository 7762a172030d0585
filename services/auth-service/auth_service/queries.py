"""Reads: users by their email."""

from typing import Any

import sqlalchemy as sa
from chassis.errors import Unauthenticated
from chassis.statement import Statement
from chassis.text import email_identity, sort_key
from chassis.transaction import Reader

from auth_service.models import users
from auth_service.schemas import UserRead

_BY_EMAIL = Statement(
    sa.select(users).where(
        (users.c.email_key == sa.bindparam("email_key"))
        | (users.c.email_former_key.is_(None) & (users.c.email_key == sa.bindparam("former_key")))
    )
)


def key_of(email: str) -> str:
    """What an address is looked up by: the same for all its spellings."""
    return email_identity(email.strip())


async def user_of(reads: Reader, email: str) -> Any | None:
    """The user with that address, whatever its case, or None."""
    if "\0" in email:  # PostgreSQL refuses the question, and nobody has such an address
        return None
    key, former = key_of(email), sort_key(email.strip())
    found = await reads.fetch_all(_BY_EMAIL, email_key=key, former_key=former)
    return next((user for user in found if key_of(user["email"]) == key), None)


async def me(reads: Reader, email: str) -> UserRead:
    """Who a token names.

    Raises:
        Unauthenticated: the user is gone.
    """
    user = await user_of(reads, email)
    if user is None:
        raise Unauthenticated("the user no longer exists", error="invalid_token")
    return UserRead(id=user["id"], email=user["email"], role=user["role"])
