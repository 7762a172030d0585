"""Local times as clients write them: in bodies to the moment, in queries also by the day."""

import re
from datetime import datetime, timedelta
from typing import Annotated

from chassis.errors import FieldError, Invalid
from pydantic import AfterValidator, BeforeValidator, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema

from appointment_service.models import LONGEST

LONGEST_SPAN = timedelta(days=92)
YEARS = range(1900, 2201)
SHORTEST = timedelta(minutes=1)
_LATEST = datetime.max  # noqa: DTZ901 - local, as all here
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _local(moment: datetime) -> datetime:
    if moment.tzinfo is not None:
        raise ValueError("must be a local date-time without an offset")
    return moment


def _date_time(value: object) -> object:
    if not isinstance(value, str) or "T" not in value:
        raise ValueError("must be a date-time such as 2026-05-20T09:00:00")
    return value


# https://spec.openapis.org/registry/format/date-time-local: a client that is told date-time would send an offset
_DOCUMENTED = WithJsonSchema(
    {"type": "string", "format": "date-time-local", "examples": ["2026-05-20T09:00:00"], "title": "local date-time"}
)
LocalDateTime = Annotated[datetime, BeforeValidator(_date_time), AfterValidator(_local), _DOCUMENTED]
_date_times: TypeAdapter[datetime] = TypeAdapter(LocalDateTime)


def check_lasting(start: datetime, end: datetime) -> None:
    """Passes when an appointment may begin and end then.

    Raises:
        Invalid: it lasts less than SHORTEST or more than LONGEST, or lies outside of YEARS.
    """
    found = [
        FieldError(name, f"must be between {YEARS[0]} and {YEARS[-1]}")
        for name, moment in (("startTime", start), ("endTime", end))
        if moment.year not in YEARS
    ]
    if end <= start:
        found.append(FieldError("endTime", "must be after startTime"))
    elif not SHORTEST <= end - start <= LONGEST:
        found.append(FieldError("endTime", "must be 1 minute to 24 hours after startTime"))
    if found:
        raise Invalid(found)


class Moment:
    """A point of local time and all that it means: a date its day, a date-time without a fraction its second.

    `begin` belongs to it, `end` does not.
    """

    __slots__ = ("begin", "end", "is_day")

    def __init__(self, text: str) -> None:
        """ValueError: it is neither a date nor a local date-time."""
        self.is_day = _DATE.fullmatch(text) is not None
        self.begin = _begin(f"{text}T00:00:00" if self.is_day else text)
        unit = _SECOND if self.begin.microsecond == 0 else timedelta.resolution
        unit = _DAY if self.is_day else unit
        self.end = self.begin + min(unit, _LATEST - self.begin)


class Overlap:
    """A stretch of local time from `begin` to `end`, which does not belong to it: `<from>/<to>`, or a moment's own."""

    __slots__ = ("begin", "end")

    def __init__(self, text: str) -> None:
        """ValueError: it is no such text, ends before it begins, or is longer than LONGEST_SPAN."""
        first, slash, last = text.partition("/")
        since = Moment(first)
        until = Moment(last) if slash else since
        self.begin = since.begin
        self.end = until.begin if slash and not until.is_day else until.end
        if self.end <= self.begin:
            raise ValueError("must end after it begins")
        if until.begin - since.begin > LONGEST_SPAN:
            raise ValueError(f"must be {LONGEST_SPAN.days} days at most")


def _begin(text: str) -> datetime:
    try:
        return _date_times.validate_python(text)
    except ValidationError:
        raise ValueError("must be a date or a local date-time such as 2026-05-20T09:00:00, without an offset") from None


def _documented(*examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": list(examples)})


QueryMoment = Annotated[Moment, PlainValidator(Moment), _documented("2026-05-20", "2026-05-20T09:00:00")]
QueryOverlap = Annotated[
    Overlap, PlainValidator(Overlap), _documented("2026-05-20T09:00:00/2026-05-20T10:00:00", "2026-05-20")
]
