"""Keys of what people write, made here so that they are alike on every PostgreSQL build (ADR 17).

A text has up to three keys, because three questions are asked of it: `sort_key` says where it stands in a list,
`email_identity` whether two addresses are the same, `search_key` whether it is what somebody typed. Columns of keys
have the collation "C".
"""

import re
import unicodedata
from functools import lru_cache

import idna

from chassis.characters import DEFAULT_IGNORABLE, among


def sort_key(text: str) -> str:
    """NFKC, case folded: for a column with collation "C" (UAX #15, and the Unicode standard, section 5.18)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def email_identity(address: str) -> str:
    """Return the key by which two addresses are the same mailbox's.

    Both sides in simple case folding (Unicode's CaseFolding.txt, C and S: `ß` is no `ss`); the domain besides as its
    U-label (IDNA 2008 with UTS #46's non-transitional mapping). Nothing else changes: a full-width local part is
    another mailbox. For nearly every address this is its `sort_key`, and it never joins two that `sort_key` parts.
    """
    if address.isascii() and "xn--" not in (lower := address.lower()):
        return lower
    local, _, domain = unicodedata.normalize("NFC", address).rpartition("@")
    return unicodedata.normalize("NFC", f"{_simple_fold(local)}@{_u_label(domain.lower())}")


def _simple_fold(text: str) -> str:
    return "".join(map(_fold_character, text))


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    """One character for one: where the full folding has several, the lower case if that is one, else itself."""
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


@lru_cache(maxsize=4096)
def _u_label(domain: str) -> str:
    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except (idna.IDNAError, UnicodeError):  # an imported address may have a domain that nobody can register
        return _simple_fold(domain)


_APOSTROPHES = among(
    "0027 0060 00B4 02B9-02BF 02C8 02CA 02CB 02EE 02F4 0374 0384 055A 05F3 05F4 07F4 07F5 1FBD 1FBF 1FEF 1FFD 1FFE"
    " 2018 2019 201A 201B 2032 2035 275B 275C A78B A78C FF07 FF40"
)
_DOTS = among("002E 00B7 0387 2027 30FB FF0E FF65")
"""As little as apostrophes matters the dot of `St.` and of `Gal·la`."""

_HYPHENS = among(
    "002D 058A 05BE 1400 1806 2010-2015 2043 207B 208B 2212 2E17 2E1A 2E3A 2E3B 2E40 2E5D 301C 3030 30A0 FE31 FE32"
    " FE58 FE63 FF0D 10EAD"
)
"""Unicode's dashes (Pd), and minus signs."""

_SEPARATORS = dict.fromkeys(among("002C 003B 060C 061B 3001 FF0C FF1B"), " ")
"""`O'Brien, Conor`."""

_LETTER = re.compile(
    r"LATIN (?:SMALL (?:LETTER|LIGATURE)|LETTER SMALL CAPITAL) (?:(?:DOTLESS|BARRED|OPEN|TURNED|REVERSED) )?"
    r"([A-Z]+)(?: BAR)?(?: WITH .*)?"
)
_NAMED = {"ENG": "n", "ESH": "s", "ETH": "d", "EZH": "z", "IOTA": "i", "KRA": "k", "SCHWA": "e", "THORN": "th"}
_LATIN = among("0080-02AF 1D00-1DBF 1E00-1EFF 2C60-2C7F A720-A7FF AB30-AB6F 1DF00-1DF2A")


def _bare_letter(number: int) -> str | None:
    """`l` for `ł`, `o` for `ø`, `ae` for `æ`: by the character's name; None for what is no Latin letter."""
    found = _LETTER.fullmatch(unicodedata.name(chr(number), ""))
    if not found:
        return None
    return found[1].lower() if len(found[1]) <= 2 else _NAMED.get(found[1])


_SKIPPED: dict[int, str | None] = dict.fromkeys((*_APOSTROPHES, *_DOTS, *_HYPHENS, *DEFAULT_IGNORABLE, 0x0640))
_READ = _SKIPPED | _SEPARATORS
_ALIKE = {
    **{number: bare for number in _LATIN if (bare := _bare_letter(number))},
    # Arabic: teh marbuta and heh, alef wasla and alef, and the Persian forms of kaf and yeh. A hamza is an accent.
    **{0x0629: "\u0647", 0x06C1: "\u0647", 0x0671: "\u0627", 0x06A9: "\u0643", 0x06CC: "\u064a", 0x0649: "\u064a"},
    **_READ,
}
_IN_ASCII = {number: replacement for number, replacement in _READ.items() if number < 128}


def search_key(text: str) -> str:
    """Return the text without what does not matter to somebody who looks for it.

    Case, accents, apostrophes, hyphens, dots and width are gone, Latin letters are their plain ones; words are
    separated by single spaces. Letters of other scripts stay what they are: a transliteration would find every Wang
    for one of the characters that are read so.
    """
    if text.isascii():
        folded = text.lower().translate(_IN_ASCII)
    else:
        # Before the decomposition, too: an acute accent that stands alone would become a space.
        parts = unicodedata.normalize("NFKD", text.translate(_READ).casefold())
        bare = "".join(part for part in parts if not _is_accent(part)).casefold().translate(_ALIKE)
        folded = unicodedata.normalize("NFC", bare)
    return " ".join(folded.split())


def _is_accent(character: str) -> bool:
    """Marks above, below and across letters, Hebrew's and Arabic's points; no vowel sign and no voicing mark."""
    kind = unicodedata.combining(character)
    return kind >= 200 or kind == 1 or 10 <= kind <= 36


_APART = dict.fromkeys(_HYPHENS, " ")


def search_words(text: str) -> list[str]:
    """The different words of what somebody typed, each as `search_key` has it; a hyphen parts them.

    `Anne-Marie` has the key `annemarie`: who types `anne marie`, `anne-marie` or `annemarie` finds her.
    """
    return list(dict.fromkeys(search_key(text.translate(_APART)).split()))


def like_pattern(part: str) -> str:
    """A LIKE pattern that finds `part`, a key, anywhere; `%`, `_` and the backslash in it are plain characters."""
    escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
