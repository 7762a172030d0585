"""Whether a request's body is taken in, as its headers say: how long it is, and of what type."""

from collections.abc import Mapping

from chassis.errors import PayloadTooLarge, PlatformError, UnsupportedMediaType


def refused(method: str, headers: Mapping[bytes, bytes], limit: int, *, form: bool) -> PlatformError | None:
    """What is wrong with it, if anything; `limit` is in bytes, `form`: an HTML form will do too."""
    length = headers.get(b"content-length")
    if length is None and b"transfer-encoding" not in headers:
        return None
    if length is not None and (not length.isdigit() or _beyond(length, limit)):
        return PayloadTooLarge(limit)
    if method not in ("POST", "PUT", "PATCH") or length == b"0":
        return None
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        # https://www.rfc-editor.org/rfc/rfc9110.html#section-8.4
        return UnsupportedMediaType("the body must not be compressed (Content-Encoding)")
    media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return (
        None if _is_json(media) or (form and media == b"application/x-www-form-urlencoded") else UnsupportedMediaType()
    )


def _is_json(media: bytes) -> bool:
    return media == b"application/json" or (media.startswith(b"application/") and media.endswith(b"+json"))


def _beyond(length: bytes, limit: int) -> bool:
    """Whether digits say more than the limit; `int` refuses thousands of them, leading zeros too."""
    digits = length.lstrip(b"0")
    return len(digits) > 18 or int(digits or b"0") > limit
