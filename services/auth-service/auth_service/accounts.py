"""The users that have to exist before anybody can log in: the first ADMIN, and the demo ADMIN with the demo data."""

from collections.abc import Iterator

from chassis.actuator import Health
from chassis.db import Database
from chassis.environ import ConfigurationError
from pydantic import ValidationError

from auth_service import service
from auth_service.passwords import Passwords
from auth_service.schemas import UserCreate
from auth_service.settings import Settings

DEMO_EMAIL = "testuser@test.com"
DEMO_PASSWORD = "password123"  # noqa: S105 - documented, and refused in production


class Accounts:
    """A part that makes them on start, where they are missing."""

    name = "accounts"
    role = None
    critical = False

    def __init__(self, settings: Settings, database: Database, passwords: Passwords) -> None:
        self._settings = settings
        self._database = database
        self._passwords = passwords

    async def start(self) -> None:
        """Makes what is missing."""
        for admin in self._wanted():
            await service.ensure_user(self._database, self._passwords, admin)

    def _wanted(self) -> Iterator[UserCreate]:
        settings = self._settings
        if settings.sql_init_mode == "always":
            yield UserCreate(email=DEMO_EMAIL, password=DEMO_PASSWORD, role="ADMIN")
        if settings.admin_email and settings.admin_password:
            try:
                yield UserCreate(
                    email=settings.admin_email, password=settings.admin_password.get_secret_value(), role="ADMIN"
                )
            except ValidationError as error:
                field = error.errors(include_input=False)[0]["loc"][0]
                raise ConfigurationError(f"ADMIN_{str(field).upper()} is not one that a user may have") from None

    async def stop(self) -> None:
        """Nothing is open."""

    async def health(self) -> Health:
        """They were made when it started."""
        return Health(up=True)
