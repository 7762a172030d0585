"""The tables of the users' database."""

from typing import cast
from uuid import UUID

import sqlalchemy as sa
from chassis.outbox import OutboxMessage
from sqlmodel import Field, SQLModel

UNIQUE_EMAIL = "uq_users_email_key"


class User(SQLModel, table=True):
    """Somebody who may log in; `password` is a bcrypt hash, `email_key` the identity of the address (ADR 17).

    `email_former_key` is the key of the release before, NULL where that release wrote the row: its `email_key` is that.
    """

    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.UniqueConstraint("email_key", name=UNIQUE_EMAIL),
        sa.Index("ix_users_unkeyed", "id", postgresql_where=sa.text("email_former_key IS NULL")),
        sa.Index("ix_users_former_key", "email_former_key", postgresql_where=sa.text("email_former_key <> email_key")),
    )

    id: UUID = Field(primary_key=True)
    email: str = Field(sa_column=sa.Column(sa.String(255), nullable=False))
    email_key: str = Field(sa_column=sa.Column(sa.Text(collation="C"), nullable=False))
    email_former_key: str | None = Field(sa_column=sa.Column(sa.Text(collation="C")))
    password: str = Field(sa_column=sa.Column(sa.String(255), nullable=False))
    role: str = Field(sa_column=sa.Column(sa.String(50), nullable=False))


users = cast(sa.Table, User.__table__)  # type: ignore[attr-defined]  # every table class has one

TABLES = (User, OutboxMessage)
