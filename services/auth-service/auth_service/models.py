"""The tables of the users' database."""

from typing import cast
from uuid import UUID

import sqlalchemy as sa
from chassis.outbox import OutboxMessage
from sqlmodel import Field, SQLModel

UNIQUE_EMAIL = "uq_users_email_key"


class User(SQLModel, table=True):
    """Somebody who may log in; `password` is a bcrypt hash."""

    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.UniqueConstraint("email_key", name=UNIQUE_EMAIL),
    )

    id: UUID = Field(primary_key=True)
    email: str = Field(sa_column=sa.Column(sa.String(255), nullable=False))
    email_key: str = Field(sa_column=sa.Column(sa.Text(collation="C"), nullable=False))
    password: str = Field(sa_column=sa.Column(sa.String(255), nullable=False))
    role: str = Field(sa_column=sa.Column(sa.String(50), nullable=False))


users = cast(sa.Table, User.__table__)  # type: ignore[attr-defined]  # every table class has one

TABLES = (User, OutboxMessage)
