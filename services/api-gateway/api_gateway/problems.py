"""What the data plane refuses by itself, as the platform's problem documents (RFC 9457), without the web framework."""

import orjson
from chassis.errors import PlatformError


def render(error: PlatformError, instance: str, trace_id: str) -> bytes:
    """The document as UTF-8 JSON."""
    return orjson.dumps(error.body(instance, trace_id))
