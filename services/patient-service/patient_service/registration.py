"""Registering patients: those that arrive together are stored by one statement, each with its event.

The statement is a transaction of its own: a patient exists if and only if its event does, and the answers leave after
the commit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from chassis import outbox
from chassis.batch import Batches
from chassis.db import Database
from chassis.errors import Conflict
from chassis.events import Event
from chassis.ids import new_id
from chassis.statement import Statement
from chassis.transaction import Reader
from healthcare_contracts import topics
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from patient_service.models import PENDING, UNIQUE_EMAIL, patient
from patient_service.schemas import PatientCreate, patient_event
from patient_service.service import columns, event_of

_NAMES = [column.name for column in patient.c]
_KINDS: dict[str, Any] = {
    column.name: sa.Text() if isinstance(column.type, sa.String) else column.type for column in patient.c
} | {"event_id": sa.Uuid(), "payload": sa.Text(), "headers": sa.Text()}


def _statement() -> Statement:
    """Rows come as one array for each column; an email that is taken leaves its row, and its event, out."""
    arrays = [sa.bindparam(name, type_=sa.ARRAY(kind)) for name, kind in _KINDS.items()]
    rows = sa.func.unnest(*arrays).table_valued(*(sa.column(name, kind) for name, kind in _KINDS.items()))
    new = sa.select(rows.render_derived("given")).cte("new")
    made = (
        upsert(patient)
        .from_select(_NAMES, sa.select(*(new.c[name] for name in _NAMES)))
        .on_conflict_do_nothing(constraint=UNIQUE_EMAIL)
        .returning(patient.c.id)
        .cte("made")
    )
    event = _event_columns(new)
    told = sa.insert(outbox.OutboxMessage).from_select(
        list(event), sa.select(*event.values()).where(new.c.id.in_(sa.select(made.c.id)))
    )
    return Statement(sa.select(made.c.id).add_cte(told.cte("told")))


def _event_columns(new: sa.CTE) -> dict[str, sa.ColumnElement[Any]]:
    created = topics.PATIENT_CREATED
    return {
        "event_id": new.c.event_id,
        "aggregate_type": sa.literal_column("'patient'"),
        "aggregate_id": new.c.id,
        "aggregate_version": new.c.version,
        "topic": sa.literal_column(f"'{created.name}'"),
        "key": sa.cast(new.c.id, sa.Text),
        "type": sa.literal_column(f"'{created.types[0]}'"),
        "payload": sa.cast(new.c.payload, JSONB),
        "headers": sa.cast(new.c.headers, JSONB),
    }


_REGISTER = _statement()


@dataclass(frozen=True, slots=True)
class Registration:
    """A patient to be: the row of the patient table, its event, and that as a row of the outbox."""

    row: dict[str, Any]
    event: Event
    message: dict[str, Any]


def registration(new: PatientCreate, today: date, id: UUID | None = None) -> Registration:
    """What a client sent, ready to be stored; the event carries the ids of the request in hand."""
    now = datetime.now(UTC)
    row = {
        "id": id or new_id(),
        **columns(new, now),
        "registered_date": today,
        "billing_status": PENDING,
        "billing_requested_at": None,
        "version": 1,
        "keyed_version": 1,
        "created_at": now,
    }
    event = event_of(topics.PATIENT_CREATED, row["id"], 1, patient_event(row))
    return Registration(row, event, outbox.row(event))


async def register_patients(reader: Reader, batch: Sequence[Registration]) -> list[dict[str, Any] | Exception]:
    """Stores them, each with its event; for each its row, or Conflict when its email is taken."""
    values: dict[str, list[Any]] = {name: [each.row[name] for each in batch] for name in _NAMES}
    values["event_id"] = [each.message["event_id"] for each in batch]
    for name in ("payload", "headers"):
        values[name] = [orjson.dumps(each.message[name]).decode() for each in batch]
    made = {row["id"] for row in await reader.fetch_all(_REGISTER, **values)}
    return [each.row if each.row["id"] in made else Conflict("email is already taken", "email") for each in batch]


class Registrations:
    """The way in for requests: those that wait at the same time are stored together."""

    def __init__(
        self, database: Database, provision: Callable[[dict[str, Any]], None], today: Callable[[], date]
    ) -> None:
        self._database = database
        self._provision = provision
        self._today = today
        self._batches: Batches[Registration, dict[str, Any]] = Batches(self._store)

    async def register_patient(self, new: PatientCreate) -> dict[str, Any]:
        """The new row, committed; billing's account and the event are on their way.

        Raises:
            Conflict: the email is taken.
            Unavailable: the database did not acknowledge it.
        """
        row = await self._batches.submit(registration(new, self._today()))
        self._provision(row)
        return row

    async def _store(self, batch: Sequence[Registration]) -> list[dict[str, Any] | Exception]:
        answers = await register_patients(self._database, batch)
        made = zip(batch, answers, strict=True)
        outbox.written(self._database, [each.event for each, answer in made if not isinstance(answer, Exception)])
        return answers
