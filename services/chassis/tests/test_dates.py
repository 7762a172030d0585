"""Which day it is, at the clinic and at the latest."""

import zoneinfo
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from chassis.dates import ClinicSettings, latest_date
from chassis.environ import ConfigurationError
from chassis.settings import ServiceSettings


class Settings(ServiceSettings, ClinicSettings):
    """A service that has days."""


@pytest.mark.contract("D23")
def test_no_zone_is_ahead_of_the_latest_date_and_one_has_it() -> None:
    zones = [ZoneInfo(name) for name in zoneinfo.available_timezones() - {"localtime"}]
    for hour in range(24):
        now = datetime(2026, 12, 31, hour, 30, tzinfo=UTC)
        assert latest_date(now) == max(now.astimezone(zone).date() for zone in zones), hour
        assert latest_date(now.astimezone(ZoneInfo("America/Lima"))) == latest_date(now)


@pytest.mark.contract("D23")
def test_the_clinics_day_is_that_of_its_zone_and_utcs_by_default() -> None:
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", ""):
        settings = Settings.from_environ({"CLINIC_TIME_ZONE": zone})
        before = datetime.now(ZoneInfo(zone or "UTC")).date()
        assert before <= settings.today() <= datetime.now(ZoneInfo(zone or "UTC")).date()


@pytest.mark.contract("D23")
@pytest.mark.parametrize("zone", ["Mars/Base", "Asia", "./Asia/Tokyo", "/etc/passwd", "UTC+2", "a\0b"])
def test_a_zone_that_does_not_exist_stops_the_start(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="CLINIC_TIME_ZONE: is no time zone") as caught:
        Settings.from_environ({"CLINIC_TIME_ZONE": zone})
    assert zone not in str(caught.value)


def test_zones_are_known_on_a_machine_that_has_none_of_its_own() -> None:
    zoneinfo.reset_tzpath(to=[])
    ZoneInfo.clear_cache()
    try:
        assert Settings.from_environ({"CLINIC_TIME_ZONE": "Europe/Berlin"}).clinic_time_zone == "Europe/Berlin"
    finally:
        zoneinfo.reset_tzpath()
        ZoneInfo.clear_cache()
