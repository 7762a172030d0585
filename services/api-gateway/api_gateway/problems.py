"""What the data plane refuses by itself, as the platform's problem documents (RFC 9457), without the web framework."""

from http import HTTPStatus

import orjson
from chassis.errors import PlatformError


class Refused(PlatformError):
    """A request that the protocol itself forbids, or an upstream that broke it; the sentence quotes nothing of it."""

    def __init__(self, status: int, detail: str) -> None:
        phrase = HTTPStatus(status).phrase
        super().__init__(status, phrase.lower().replace(" ", "-"), phrase, detail)


def render(error: PlatformError, instance: str, trace_id: str) -> bytes:
    """The document as UTF-8 JSON."""
    return orjson.dumps(error.body(instance, trace_id))
