"""Quantities such as `8Gi`; pure (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/)."""

import re
from decimal import Decimal

_TEXT = re.compile(r"([+-]?[0-9.]+)(?:[eE]([+-]?[0-9]+)|([KMGTPE]i|[numkMGTPE])|)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: dict[str, Decimal] = {f"{each}i": Decimal(1024) ** power for power, each in enumerate("KMGTPE", start=1)}


def number(text: str | int) -> Decimal:
    """Its value.

    Raises:
        ValueError: it is no quantity.
    """
    found = _TEXT.fullmatch(str(text))
    if not found:
        raise ValueError(f"{text} is no quantity")
    digits, exponent, unit = found.groups()
    if unit in _BINARY:
        return Decimal(digits) * _BINARY[unit]
    power = int(exponent) if exponent else _DECIMAL.get(unit or "", 0)
    return Decimal(f"{digits}e{power}")
