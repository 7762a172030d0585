"""Sets of characters that the rules of texts need, as Unicode has them."""

from collections.abc import Iterator


def _numbers(ranges: str) -> Iterator[int]:
    for each in ranges.split():
        first, _, last = each.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def among(ranges: str) -> frozenset[int]:
    """The numbers of `00AD 200B-200F`: hexadecimal, each alone or a range."""
    return frozenset(_numbers(ranges))


DEFAULT_IGNORABLE = among(
    "00AD 034F 061C 115F 1160 17B4 17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8"
    " 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
"""Default_Ignorable_Code_Point (DerivedCoreProperties.txt): nothing is shown where they stand."""

INVISIBLE = DEFAULT_IGNORABLE | among("2800 FFF9-FFFB 1D159 13441 13442")
"""Besides: what has a width and no ink, Braille's blank, a null notehead and blank hieroglyphs."""
