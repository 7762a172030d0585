"""Text that sorts and compares alike on every PostgreSQL build: a key beside it, made here."""

import unicodedata


def sort_key(text: str) -> str:
    """NFKC, case folded: for a column with collation "C" (UAX #15, and the Unicode standard, section 5.18)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def like_pattern(part: str) -> str:
    """A LIKE pattern that finds the key of `part` anywhere; `%`, `_` and the backslash in it are plain characters."""
    escaped = sort_key(part).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
