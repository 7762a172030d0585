"""The keys of users' addresses, and how rows get those that the release before left out (ADR 17)."""

import sqlalchemy as sa
from chassis import logs
from chassis.statement import Statement
from chassis.text import email_identity, sort_key
from chassis.transaction import Transaction

from auth_service.models import users

log = logs.logger(__name__)

BATCH = 200

_MARK: sa.ColumnElement[str] = sa.literal_column("chr(1)")
"""No address has it: it parts an identity from the id of a row that came second to it."""

_other = users.alias("other")
_identity = sa.bindparam("identity", type_=sa.Text)
_UNKEYED = Statement(
    sa.select(users.c.id, users.c.email)
    .where(users.c.email_former_key.is_(None))
    .order_by(users.c.id)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_GIVE_WAY = Statement(
    sa.update(users)
    .where(users.c.email_key == _identity, users.c.id > sa.bindparam("user_id"))
    .values(email_key=users.c.email_key.concat(_MARK).concat(sa.cast(users.c.id, sa.Text)))
    .returning(users.c.id)
)
_FILL = Statement(
    sa.update(users)
    .where(users.c.id == sa.bindparam("user_id"))
    .values(
        email_former_key=sa.bindparam("former"),
        email_key=sa.case(
            (
                sa.exists().where(_other.c.email_key == _identity, _other.c.id != users.c.id),
                sa.cast(_identity, sa.Text).concat(_MARK).concat(sa.cast(users.c.id, sa.Text)),
            ),
            else_=_identity,
        ),
    )
)


def keys_of(email: str) -> dict[str, str]:
    """The columns of an address's keys."""
    return {"email_key": email_identity(email), "email_former_key": sort_key(email)}


async def fill_keys(tx: Transaction) -> int:
    """Makes the keys of some rows that the release before wrote; how many. Of two with one address the older keeps it.

    Ids are made in the order of time (UUID version 7).
    """
    rows = await tx.fetch_all(_UNKEYED, limit=BATCH)
    for row in rows:
        keys = keys_of(row["email"])
        for younger in await tx.fetch_all(_GIVE_WAY, identity=keys["email_key"], user_id=row["id"]):
            log.warning("another user has this address", user_id=str(younger["id"]))
        await tx.execute(_FILL, user_id=row["id"], identity=keys["email_key"], former=keys["email_former_key"])
    return len(rows)
