"""Whether strings arrive byte for byte in the objects that Helm makes of them."""

from collections.abc import Mapping
from typing import Any

import yaml

from tests.charts.corpus import CORPUS
from tests.charts.fields import Field, Form, Refused
from tests.charts.rendering import Manifest
from tests.charts.strict import objects


def changed(form: Form) -> list[str]:
    """Every field and value that is taken and neither arrives as it is nor is refused by the field's name."""
    found = []
    for context, batch in form.batches:
        for value in CORPUS:
            found += _changed(form, context, [field for field in batch if form.takes(field, value)], value)
    return found


def unnamed(form: Form) -> list[str]:
    """Every field that refuses a value without being named."""
    found = []
    for value in CORPUS:
        fields = [field for field in form.fields if not (field.marker and form.takes(field, value))]
        try:
            form.rendered({}, dict.fromkeys(fields, value))
        except Refused as error:
            found += [f"{field}: {value[:80]!r}" for field in fields if field.name not in str(error)]
        else:
            found += [f"{field}: {value[:80]!r} is not refused" for field in fields]
    return found


def noticed(form: Form, field: Field) -> bool:
    """Whether a field that does not come out as a whole (host and port) changes something, or is refused by name."""
    if not field.marker:
        return True
    for context in form.contexts:
        try:
            if form.rendered(context, {field: field.marker}) != form.rendered(context, {}):
                return True
        except Refused as error:
            return field.name in str(error)
    return False


def _changed(form: Form, context: Manifest, fields: list[Field], value: str) -> list[str]:
    """Two halves are tried where the whole is wrong: fields may disturb each other, as two Secrets of one name do."""
    if not fields or not (said := _fault(form, context, fields, value)):
        return []
    if len(fields) == 1:
        return [f"{fields[0]}: {value[:80]!r} {said}"]
    half = len(fields) // 2
    return [*_changed(form, context, fields[:half], value), *_changed(form, context, fields[half:], value)]


def _fault(form: Form, context: Manifest, fields: list[Field], value: str) -> str:
    try:
        texts = form.rendered(context, dict.fromkeys(fields, value))
    except Refused as error:
        silent = any(field.name not in str(error) for field in fields)
        return f"is refused without the field's name: {' '.join(str(error).split())}" if silent else ""
    harmless = form.rendered(context, {field: field.marker for field in fields})
    values = {field.marker: value for field in fields}
    for template, text in texts.items():
        try:
            found, expected = objects(text), _substituted(objects(harmless[template]), values)
        except (yaml.YAMLError, ValueError) as error:
            return f"breaks {template}: {' '.join(str(error).split())}"
        if found != expected and _sorted(found) != _sorted(expected):
            return f"does not arrive in {template}"
    return ""


def _substituted(node: Any, values: Mapping[str, str]) -> Any:
    """The objects with the values where their markers are."""
    if isinstance(node, str):
        for marker, value in values.items():
            node = node.replace(marker, value)
        return node
    if isinstance(node, list):
        return [_substituted(each, values) for each in node]
    if isinstance(node, dict):
        return {_substituted(key, values): _substituted(each, values) for key, each in node.items()}
    return node


def _sorted(node: Any) -> Any:
    """Lists in an order of their own: a list that is made of a map follows the map's keys."""
    if isinstance(node, dict):
        return {key: _sorted(each) for key, each in node.items()}
    return sorted((_sorted(each) for each in node), key=repr) if isinstance(node, list) else node
