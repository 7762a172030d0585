"""The deadlines (s) and sizes that every request meets, as plain attributes: a settings model answers too slowly."""

from api_gateway.settings import Settings


class Bounds:
    """`upstream` None: each route has its own."""

    __slots__ = ("body", "body_bytes", "header", "idle", "stall", "upstream")

    def __init__(self, settings: Settings) -> None:
        self.header = settings.header_timeout_seconds
        self.body = settings.body_timeout_seconds
        self.body_bytes = settings.max_body_bytes
        self.idle = settings.idle_timeout_seconds
        self.stall = settings.stall_timeout_seconds
        self.upstream = settings.upstream_timeout_seconds
