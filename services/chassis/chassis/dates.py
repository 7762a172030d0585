"""What day it is: at the clinic, and at the latest anywhere on Earth."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

LATEST_OFFSET = timedelta(hours=14)
"""The Line Islands': no zone is further ahead of UTC."""


class ClinicSettings(BaseSettings):
    """Where the clinic is, as far as its days depend on it."""

    clinic_time_zone: str = Field("UTC", description="the clinic's time zone, such as Europe/Berlin: decides today")

    @field_validator("clinic_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, KeyError, OSError):  # no key at all, an unknown one, a folder
            raise ValueError("is no time zone of the tz database, such as Europe/Berlin") from None
        return value

    def today(self) -> date:
        """The date at the clinic."""
        return datetime.now(ZoneInfo(self.clinic_time_zone)).date()


def latest_date(now: datetime) -> date:
    """Return the latest date on Earth at that moment: what is later lies in the future everywhere."""
    return (now.astimezone(UTC) + LATEST_OFFSET).date()
