"""The body of a request on its way in."""

from chassis.errors import PayloadTooLarge, Refused
from chassis.wire.bodies import BadChunk, Body, Chunked, Length

from api_gateway.fields import Fields


class Upload:
    """Counts what it decodes; more than `limit` bytes are refused."""

    __slots__ = ("_body", "_limit", "taken")

    def __init__(self, fields: Fields, limit: int) -> None:
        self._body: Body = Chunked() if fields.chunked else Length(fields.length or 0)
        self._limit = limit
        self.taken = 0

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return self._body.done

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The payload and what follows the body. Raises Refused (400), PayloadTooLarge."""
        try:
            payload, rest = self._body.feed(data)
        except BadChunk:
            raise Refused(400, "the chunked coding is malformed") from None
        self.taken += len(payload)
        if self.taken > self._limit:
            raise PayloadTooLarge(self._limit)
        return payload, rest
