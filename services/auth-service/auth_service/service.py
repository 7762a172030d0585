"""Registering and logging in, each with its audit event."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, outbox
from chassis.auth import LIFETIME
from chassis.db import Database
from chassis.errors import Conflict, Unauthenticated
from chassis.events import Event
from chassis.ids import new_id
from chassis.issuer import TokenIssuer
from chassis.statement import Statement
from chassis.transaction import Transaction
from healthcare_contracts import topics
from healthcare_contracts.events import AuthAuditData

from auth_service import queries
from auth_service.keys import keys_of
from auth_service.models import UNIQUE_EMAIL, users
from auth_service.passwords import Passwords
from auth_service.schemas import Credentials, TokenRead, UserCreate, UserRead
from auth_service.throttle import Caller

log = logs.logger(__name__)

_NOBODY = UUID(topics.NOBODY)
_INSERT = Statement(sa.insert(users), conflicts={UNIQUE_EMAIL: "email", "uq_users_email": "email"})


async def log_in(
    database: Database, passwords: Passwords, issuer: TokenIssuer, who: Credentials, caller: Caller
) -> TokenRead:
    """A token for good credentials. No connection is held while the hash is computed.

    Raises:
        Unauthenticated: the address is unknown or the password wrong; nobody can tell which, by words or by time.
        Busy, TooManyRequests: as `FairQueue.turn`, alike for addresses that are unknown.
    """
    async with passwords.turn(caller):
        user = await queries.user_of(database, who.email)
        good = await passwords.matches(who.password, user["password"] if user is not None else None)
        passwords.throttle.tell(caller, good=good)
    async with database.transaction() as tx:
        await _audit(tx, "auth.login.succeeded" if good else "auth.login.failed", user)
    if not good or user is None:
        log.info("login refused")
        raise Unauthenticated("the email or the password is wrong")
    return TokenRead(token=issuer.issue(user["email"], user["role"]), expiresIn=LIFETIME)


async def register(tx: Transaction, new: UserCreate, hashed: str) -> UserRead:
    """A new user.

    Raises:
        Conflict: the email is taken.
    """
    user = {"id": new_id(), "email": str(new.email), "role": new.role}
    await tx.execute(_INSERT, **user, **keys_of(str(new.email)), password=hashed)
    await _audit(tx, "auth.user.registered", user)
    log.info("user registered", user_id=str(user["id"]), role=new.role)
    return UserRead(**user)


async def ensure_user(database: Database, passwords: Passwords, new: UserCreate) -> None:
    """Makes a user that configuration or demo data ask for; leaves one that exists as it is."""
    if await queries.user_of(database, new.email) is not None:
        return
    hashed = await passwords.hash(new.password)
    try:
        async with database.transaction() as tx:
            await register(tx, new, hashed)
    except Conflict:
        log.info("another replica has made the user")


async def _audit(tx: Transaction, kind: str, user: Any | None) -> None:
    user_id = user["id"] if user is not None else None
    data = AuthAuditData(user_id=user_id, role=user["role"] if user is not None else None)
    event = Event(
        type=kind,
        topic=topics.AUTH_AUDIT.name,
        key=str(user_id or _NOBODY),
        aggregate_type="user",
        aggregate_id=user_id or _NOBODY,
        aggregate_version=1,
        data=data.model_dump(mode="json", by_alias=True),
    )
    await outbox.publish(tx, event)
