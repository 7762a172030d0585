"""Writes docs/contract.md: each promise in our words, beside the tests that prove it.

The promises stand in docs/contract.md itself; only the last column is generated,
from the `contract` marks on the tests.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "contract.md"
ROW = re.compile(r"^\| (?P<id>[A-Z]\d\d?) \| (?P<promise>.+?) \| (?P<proof>.*?) \|$")
ELSEWHERE = {".venv", ".run", ".cache", "node_modules"}


def marks() -> dict[str, set[str]]:
    """The tests that name each promise: id → paths from the root."""
    proofs: dict[str, set[str]] = defaultdict(set)
    for path in ROOT.rglob("test_*.py"):
        if ELSEWHERE.isdisjoint(path.relative_to(ROOT).parts):
            for row in _named(ast.parse(path.read_text())):
                proofs[row].add(path.relative_to(ROOT).as_posix())
    return proofs


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "contract":
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def promises() -> dict[str, str]:
    """Every promise of the page: id → its words."""
    return {row["id"]: row["promise"] for line in PAGE.read_text().splitlines() if (row := ROW.match(line))}


def render() -> str:
    """The page with its last column brought up to date."""
    proofs = marks()
    return "".join(_line(line, proofs) + "\n" for line in PAGE.read_text().splitlines())


def _line(line: str, proofs: dict[str, set[str]]) -> str:
    if not (row := ROW.match(line)):
        return line
    links = ", ".join(f"[{Path(p).stem.removeprefix('test_')}](../{p})" for p in sorted(proofs.get(row["id"], ())))
    return f"| {row['id']} | {row['promise']} | {links or 'not yet'} |"


if __name__ == "__main__":
    PAGE.write_text(render())
