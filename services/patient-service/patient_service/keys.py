"""The keys of a patient's texts, and how rows get those that the release before left out (ADR 17)."""

from typing import Any

import sqlalchemy as sa
from chassis import logs
from chassis.statement import Statement
from chassis.text import email_identity, search_key, sort_key
from chassis.transaction import Transaction

from patient_service.models import UNIQUE_EMAIL, patient

log = logs.logger(__name__)

COLUMNS = ("name_key", "name_search", "email_key", "email_order")
BATCH = 500
DISPLACED = "\x01"
"""No address has it: it parts an identity from the id of a row that came second to it."""


def displaced(identity: Any, id: Any) -> sa.ColumnElement[str]:
    """What stands for the identity in a row whose address an older row has."""
    return sa.cast(identity, sa.Text).concat(sa.literal_column("chr(1)")).concat(sa.cast(id, sa.Text))


_UNKEYED = Statement(
    sa.select(*(patient.c[name] for name in ("id", "name", "email", "version", "created_at")))
    .where(patient.c.keyed_version.is_(None))
    .order_by(patient.c.id)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_HOLDERS = Statement(
    sa.select(patient.c.id, patient.c.email_key, patient.c.created_at)
    .where(patient.c.email_key == sa.any_(sa.bindparam("identities", type_=sa.ARRAY(sa.Text))))
    .with_for_update()
)
_GIVE_WAY = Statement(
    sa.update(patient)
    .where(patient.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .values(email_key=displaced(patient.c.email_key, patient.c.id))
)


def _fill_statement() -> Statement:
    """Rows come as one array for each column; the id is the first."""
    kinds: dict[str, Any] = {"id": sa.Uuid()} | {name: sa.Text() for name in COLUMNS}
    arrays = [sa.bindparam(name, type_=sa.ARRAY(kind)) for name, kind in kinds.items()]
    given = sa.func.unnest(*arrays).table_valued(*(sa.column(name, kind) for name, kind in kinds.items()))
    rows = given.render_derived("given")
    return Statement(
        sa.update(patient)
        .where(patient.c.id == rows.c.id)
        .values({name: rows.c[name] for name in COLUMNS} | {"keyed_version": patient.c.version}),
        conflicts={UNIQUE_EMAIL: "email"},
    )


_FILL = _fill_statement()


def keys_of(name: str, email: str) -> dict[str, str | None]:
    """The columns of COLUMNS; None for those of an address where there is none."""
    return {
        "name_key": sort_key(name),
        "name_search": search_key(name),
        "email_key": email_identity(email) if email else None,
        "email_order": sort_key(email) if email else None,
    }


async def fill_keys(tx: Transaction) -> int:
    """Makes the keys of some rows that the release before wrote; how many. Of two with one address the older keeps it.

    Raises:
        Conflict: somebody registered one of the addresses meanwhile; the next call sees it.
    """
    rows = await tx.fetch_all(_UNKEYED, limit=BATCH)
    if not rows:
        return 0
    made = {row["id"]: keys_of(row["name"], row["email"]) for row in rows}
    await _settle(tx, rows, made)
    values = {name: [keys[name] for keys in made.values()] for name in COLUMNS}
    await tx.execute(_FILL, id=list(made), **values)
    return len(rows)


async def _settle(tx: Transaction, rows: list[Any], made: dict[Any, dict[str, str | None]]) -> None:
    """Decides who of several keeps an address: the row that is oldest, by its creation and then by its id."""
    identities = {keys["email_key"] for keys in made.values() if keys["email_key"] is not None}
    holders = await tx.fetch_all(_HOLDERS, identities=list(identities))
    oldest: dict[str, tuple[Any, Any]] = {}
    claims = [(holder["email_key"], holder) for holder in holders if holder["id"] not in made]
    for identity, row in [*claims, *((made[row["id"]]["email_key"], row) for row in rows)]:
        age = (row["created_at"], row["id"])
        oldest[identity] = min(oldest.get(identity, age), age)
    for id, keys in made.items():
        if keys["email_key"] is not None and oldest[keys["email_key"]][1] != id:
            keys["email_key"] = f"{keys['email_key']}{DISPLACED}{id}"
            log.warning("another patient has this address", patient_id=str(id))
    # First, because a key that somebody else will have in the same statement is refused.
    moving = [holder["id"] for holder in holders if oldest[holder["email_key"]][1] != holder["id"]]
    await tx.execute(_GIVE_WAY, ids=moving)
    for id in set(moving) - made.keys():
        log.warning("another patient has this address", patient_id=str(id))
