"""Whether strings arrive byte for byte in the objects that Helm makes of them."""

import re
from typing import Any

import yaml

from tests.charts.corpus import CORPUS
from tests.charts.fields import Field, Form, Refused
from tests.charts.rendering import Manifest
from tests.charts.strict import objects

Batch = tuple[Manifest, list[Field]]
"""A context, and the fields that come out side by side in it."""


def changed(form: Form) -> list[str]:
    """Every field and value that is taken and neither arrives as it is nor is refused by the field's name."""
    found = []
    for batch in form.batches:
        for value in CORPUS:
            found += _changed(form, batch, [field for field in batch[1] if form.takes(field, value)], value)
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


def _changed(form: Form, batch: Batch, fields: list[Field], value: str) -> list[str]:
    """Two halves are tried where the whole is wrong: fields may disturb each other, as two Secrets of one name do."""
    if not fields or not (said := _fault(form, batch, fields, value)):
        return []
    if len(fields) == 1:
        return [f"{fields[0]}: {value[:80]!r} {said}"]
    half = len(fields) // 2
    return [*_changed(form, batch, fields[:half], value), *_changed(form, batch, fields[half:], value)]


def _fault(form: Form, batch: Batch, fields: list[Field], value: str) -> str:
    context, shown = batch
    harmless = {field: field.marker for field in shown}
    try:
        texts = form.rendered(context, harmless | dict.fromkeys(fields, value))
    except Refused as error:
        silent = any(field.name not in str(error) for field in fields)
        return f"is refused without the field's name: {' '.join(str(error).split())}" if silent else ""
    expected = form.rendered(context, harmless)
    markers = re.compile("|".join(re.escape(field.marker) for field in fields))
    for template, text in texts.items():
        try:
            if not _same(text, expected[template], markers, value):
                return f"does not arrive in {template}"
        except (yaml.YAMLError, ValueError) as error:
            return f"breaks {template}: {' '.join(str(error).split())}"
    return ""


def _same(text: str, harmless: str, markers: re.Pattern[str], value: str) -> bool:
    """Whether a template's text has the value where the markers were; most of its documents have none."""
    pairs = list(zip(text.split("\n---\n"), harmless.split("\n---\n"), strict=False))
    if text.count("\n---\n") != harmless.count("\n---\n"):
        pairs = [(text, harmless)]
    for document, other in pairs:
        if document == other:
            continue
        found, expected = objects(document), _substituted(objects(other), markers, value)
        if found != expected and _sorted(found) != _sorted(expected):
            return False
    return True


def _substituted(node: Any, markers: re.Pattern[str], value: str) -> Any:
    """The objects with the value where the markers are."""
    if isinstance(node, str):
        return markers.sub(lambda _: value, node)
    if isinstance(node, list):
        return [_substituted(each, markers, value) for each in node]
    if isinstance(node, dict):
        return {_substituted(key, markers, value): _substituted(each, markers, value) for key, each in node.items()}
    return node


def _sorted(node: Any) -> Any:
    """Lists in an order of their own: a list that is made of a map follows the map's keys."""
    if isinstance(node, dict):
        return {key: _sorted(each) for key, each in node.items()}
    return sorted((_sorted(each) for each in node), key=repr) if isinstance(node, list) else node
