"""Texts of others, cut to the length that Kubernetes takes; pure."""

LONGEST_MESSAGE = 32_768
"""Bytes in the message of a condition (metav1.Condition); of an Event's, Kubernetes takes 1,024."""


def excerpt(text: str, limit: int = LONGEST_MESSAGE) -> str:
    """The text, or its beginning and its end with a note between them: operators often put the reason last.

    `limit` is in bytes of UTF-8, so that a status of many messages stays below what etcd takes.
    """
    whole = text.encode(errors="replace")
    if len(whole) <= limit:
        return text
    note = f" […{len(whole)} bytes, shortened to {limit}…] "
    half = max(0, limit - len(note.encode())) // 2
    return whole[:half].decode(errors="ignore") + note + whole[len(whole) - half :].decode(errors="ignore")
