"""Reads: users by their email."""

from typing import Any

import sqlalchemy as sa
from chassis.statement import Statement
from chassis.text import sort_key
from chassis.transaction import Reader

from auth_service.models import users

_BY_EMAIL = Statement(sa.select(users).where(users.c.email_key == sa.bindparam("email_key")))


async def user_of(reads: Reader, email: str) -> Any | None:
    """The user with that address, whatever its case, or None."""
    if "\0" in email:  # PostgreSQL refuses the question, and nobody has such an address
        return None
    return await reads.fetch_one(_BY_EMAIL, email_key=sort_key(email.strip()))
