"""Strings that YAML, a shell or a template reads as something else, and every field of a schema that takes a string."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
Path = tuple[str, ...]
"""Names of fields from the root: `*` is a value of a map, `*key` one of its keys, `0` an item of a list."""

CORPUS = (
    *("0012345", "1e3", "0x10", "1_000", "12:30:45", "2020-01-01", ".5", ".inf", "17.10"),  # numbers and dates
    *("on", "no", "null", "y", "true", "~"),  # booleans and nothing
    *("x: y", "user #1", '"q"', "'", "- x", "{a: b}", "*x", "&x", "!x", "%x", "@x", "`x`", "|", "\\"),  # YAML's signs
    *(" leading", "trailing ", "two\nlines", "tab\there", "{{ .Values.partOf }}", "$(id)", "a b"),
    *("a" * 253, "a" * 4000, "Zoë 王 \U0001f600", "\u00a0", "\u2028"),
)


def markers(number: int) -> Iterator[str]:
    """Harmless values that occur nowhere else; every field takes one of them."""
    yield from (f"zq{number}x", f"ZQ{number}_X", f"zq{number}x:9{number:03}", f"http://zq{number}x", f"zq{number}@x")
    yield from (
        f"71{number:03}Gi",
        f"71{number:03}",
        f"71{number:03}h",
        f"7{number:03}d",
        f"71{number:03}s",
        f"71.{number}",
    )
    yield from (f"ZQ{chr(65 + number % 26)}{chr(65 + number // 26)}_SERVICE_URL", f"sha256:{f'71{number:06}' * 8}")


def resolved(node: Any, root: Schema) -> Any:
    """A schema with its references followed."""
    if isinstance(node, list):
        return [resolved(each, root) for each in node]
    if not isinstance(node, dict):
        return node
    found: Schema = {}
    for each in (*node.get("allOf", ()), *([_target(node["$ref"], root)] if "$ref" in node else ())):
        found |= resolved(each, root)
    return found | {name: resolved(each, root) for name, each in node.items() if name not in ("$ref", "allOf")}


def _target(reference: str, root: Schema) -> Any:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def strings(node: Schema) -> Iterator[Path]:
    """Every place of a resolved schema that takes a string."""
    for each in node.get("anyOf", ()):
        yield from strings(each)
    kinds = [] if "enum" in node else node.get("type", [])
    if "string" in kinds:
        yield ()
    if "array" in kinds:
        yield from (("0", *path) for path in strings(node.get("items", {"type": "object"})))
    if "object" in kinds:
        yield from _members(node)


def _members(node: Schema) -> Iterator[Path]:
    for name, each in node.get("properties", {}).items():
        if each is False:
            continue
        yield from ((name, *path) for path in strings(each))
    if free := _free(node):
        yield ("*key",)
        yield from (("*", *path) for path in strings(free))


def _free(node: Schema) -> Schema:
    """What the values of a map with free keys are; a field of which nothing is said takes strings, too."""
    values: list[Any] = [each for each in node.get("patternProperties", {}).values() if each is not False]
    values += [node["additionalProperties"]] if node.get("additionalProperties") else []
    return (values[0] or {"type": "string"}) if values else {}


def placed(path: Path, value: str, node: Schema, filler: str) -> Any:
    """Values in which `value` is at `path`; the keys of maps are the filler, and so are values of such a key."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if head == "*key":
        return {value: filler}
    if head == "0":
        return [placed(rest, value, node.get("items", {}), filler)]
    if head == "*":
        return {filler: placed(rest, value, _free(node), filler)}
    return {head: placed(rest, value, node.get("properties", {}).get(head, {}), filler)}


def completed(values: Any, node: Schema, filler: str) -> Any:
    """The values, with the filler for what the items of their lists require."""
    if isinstance(values, list):
        items = node.get("items", {})
        required = dict.fromkeys(items.get("required", ()), filler)
        return [required | each if isinstance(each, dict) else each for each in values]
    if isinstance(values, dict):
        parts = node.get("properties", {})
        return {key: completed(each, parts.get(key) or {}, filler) for key, each in values.items()}
    return values


def name(path: Path) -> str:
    """What a refusal of a value at this path has to speak of."""
    return next(part for part in reversed(path) if part[0] not in "*0")
