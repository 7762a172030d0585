"""JSON Schemas of the events, and the check that a new one can be read by those who know an old one."""

import json
from pathlib import Path
from typing import Any

from healthcare_contracts.events import MODELS, Envelope

FOLDER = Path(__file__).resolve().parents[1] / "events"
Schema = dict[str, Any]
# Version 1 of the appointments' events called these date-time; what was sent never had an offset, so nobody read one.
MISDESCRIBED = {"data.startTime.", "data.endTime."}


def schema_of(event_type: str) -> Schema:
    """The open schema of a whole event: envelope and data; unknown fields are allowed everywhere."""
    return _combined(event_type, closed=False)


def closed_schema_of(event_type: str) -> Schema:
    """The same, refusing unknown fields: what producers are held to."""
    return _combined(event_type, closed=True)


def _combined(event_type: str, *, closed: bool) -> Schema:
    envelope = Envelope.model_json_schema(by_alias=True)
    data = MODELS[event_type].model_json_schema(by_alias=True)
    definitions = data.pop("$defs", {})
    properties = envelope["properties"] | {"type": {"const": event_type, "type": "string"}, "data": data}
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": event_type,
        "type": "object",
        "properties": properties,
        "required": sorted(envelope["required"]),
        "$defs": definitions,
    }
    if closed:
        for each in _objects(schema):
            each["additionalProperties"] = False
    return schema


def _objects(schema: Schema) -> list[Schema]:
    return [schema, schema["properties"]["data"], *schema["$defs"].values()]


def committed(event_type: str) -> dict[int, Schema]:
    """The published versions: number → schema."""
    files = sorted((FOLDER / event_type).glob("v*.json"))
    return {int(file.stem[1:]): json.loads(file.read_text()) for file in files}


def text(schema: Schema) -> str:
    """How a schema stands in its file."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def breaks(old: Schema, new: Schema) -> list[str]:
    """What a reader of `old` would miss or misread in `new`; empty when compatible.

    Adding an optional field is fine. Removing, renaming or retyping one, or requiring a new one, is not.
    """
    return _breaks("", old, new, old.get("$defs", {}), new.get("$defs", {}))


def _breaks(place: str, old: Schema, new: Schema, olds: Schema, news: Schema) -> list[str]:
    old, new = _resolved(old, olds), _resolved(new, news)
    if place in MISDESCRIBED and old.get("format") == "date-time":
        old = old | {"format": "date-time-local"}
    found = [] if _kind(old, olds) == _kind(new, news) else [f"{place or 'event'}: its type changed"]
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before.keys() - after.keys():
        found.append(f"{place}{name}: removed")
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        found.append(f"{place}{name}: required now")
    for name in set(old.get("required", ())) - set(new.get("required", ())):
        found.append(f"{place}{name}: no longer required")
    for name in before.keys() & after.keys():
        found += _breaks(f"{place}{name}.", before[name], after[name], olds, news)
    if "items" in old and "items" in new:
        found += _breaks(f"{place}[].", old["items"], new["items"], olds, news)
    # An optional value is a choice between it and null; where the number of choices changed, so did the type.
    for mine, theirs in zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=False):
        found += _breaks(place, mine, theirs, olds, news)
    return sorted(found)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    reference = schema.get("$ref", "")
    return definitions[reference.rpartition("/")[2]] if reference else schema


def _kind(schema: Schema, definitions: Schema) -> list[object]:
    """What a value may be, whatever the order and the words around it."""
    choices = schema.get("anyOf") or [schema]
    parts = [_resolved(choice, definitions) for choice in choices]
    keys = ("type", "format", "const", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength")
    return sorted((str([part.get(key) for key in keys]) for part in parts), key=str)
