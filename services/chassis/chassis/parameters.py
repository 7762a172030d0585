"""Query and path parameters: read without the framework's solver, which costs twenty times as much, and never ignored.

A filter that is ignored shows other people's records, so a query is read strictly: a name that the route does not know,
a single-valued parameter that is given twice or left empty, and bytes that are no UTF-8 are refused (400). Neither the
value nor the name of an unknown parameter is quoted: behind an unescaped `&` in a value, the name is a person's.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, cast
from urllib.parse import unquote

from fastapi import Depends, Request
from fastapi._compat import ModelField, field_annotation_is_scalar, field_annotation_is_scalar_sequence
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_parameterless_sub_dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from chassis.errors import FieldError, Invalid
from chassis.http import field_errors

Validate = Callable[[Any], Any]
Values = dict[str, Any]
Given = Mapping[str, Sequence[str]]

_NOTHING: Given = {}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Parameters:
    """All that the functions of a route take from path and query."""

    def __init__(self, dependant: Dependant, *, strict: bool) -> None:
        """`strict`: whether a query parameter that no function takes is refused."""
        functions = list(_tree(dependant))
        self._functions = [
            (
                each.name,
                [(field, _validator(field)) for field in each.path_params],
                _Query(each.query_params) if each.query_params else None,
            )
            for each in functions
            if each.path_params or each.query_params
        ]
        self._strict = strict
        self._names = frozenset(field.alias for each in functions for field in each.query_params)

    @staticmethod
    def can(fields: Sequence[ModelField]) -> bool:
        """Whether query parameters are of the plain kind."""
        return all(_plain(field) for field in fields)

    def read(self, request: Request, found: list[FieldError]) -> dict[str | None, Values]:
        """The parameters of each function by the function's name, None for the endpoint.

        What is wrong is appended to `found`; then they are not complete.
        """
        text = request.scope["query_string"]
        query = _given(text) if text else _NOTHING
        read: dict[str | None, Values] = {}
        for name, path, parameters in self._functions:
            values = read[name] = {}
            for field, validate in path:
                _take(field, validate, "path", request.path_params[field.alias], values, found)
            if parameters is not None:
                parameters.read(query, values, found)
        if query and self._strict and not query.keys() <= self._names:
            known = f"known are {', '.join(sorted(self._names))}" if self._names else "none is known here"
            found.append(FieldError("query", f"has an unknown parameter; {known}"))
        return read

    async def check(self, request: Request) -> None:
        """Refuses what is wrong, for a route that the framework answers.

        Raises:
            Invalid: as `read` has found.
        """
        found: list[FieldError] = []
        if request.scope["query_string"]:
            self.read(request, found)
        if found:
            raise Invalid(found)


def guard(route: APIRoute) -> None:
    """Makes a route that the framework answers as strict as the others.

    The check stands before the first function that takes query parameters, and so behind the one that knows a token.
    """
    others = route.dependant.dependencies
    check = Depends(Parameters(route.dependant, strict=True).check)
    first = next((place for place, each in enumerate(others) if _takes_query(each)), len(others))
    others.insert(first, get_parameterless_sub_dependant(depends=check, path=route.path_format))


class _Query:
    """The query parameters of one function, each with a default."""

    def __init__(self, fields: Sequence[ModelField]) -> None:
        self._fields = [
            (each, field_annotation_is_scalar(each.field_info.annotation), _validator(each)) for each in fields
        ]

    def read(self, given: Given, values: Values, found: list[FieldError]) -> None:
        for field, single, validate in self._fields:
            texts = given.get(field.alias)
            if texts is None:
                values[field.name] = field.default
            elif message := _misshapen(texts, single):
                found.append(FieldError(field.alias, message))
            else:
                _take(field, validate, "query", texts[0] if single else texts, values, found)


def _given(query: bytes) -> Given:
    """The values of each parameter in order; bytes that are no UTF-8 become surrogates, which `_misshapen` finds."""
    given: dict[str, list[str]] = {}
    for pair in query.decode("ascii", "surrogateescape").replace("+", " ").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            given.setdefault(_unescaped(name), []).append(_unescaped(value))
    return given


def _unescaped(text: str) -> str:
    return unquote(text, errors="surrogateescape") if "%" in text else text


def _take(
    field: ModelField, validate: Validate, place: str, value: Any, values: Values, found: list[FieldError]
) -> None:
    try:
        values[field.name] = validate(value)
    except ValidationError:
        found += field_errors(field.validate(value, {}, loc=(place, field.alias))[1])


def _validator(field: ModelField) -> Validate:
    """The field's own, without what the framework puts around it to tell what is wrong."""
    kind = cast(Any, Annotated[field.field_info.annotation, field.field_info])
    return TypeAdapter(kind).validator.validate_python


def _tree(dependant: Dependant) -> Iterator[Dependant]:
    """In the order in which the framework reads them."""
    for each in dependant.dependencies:
        yield from _tree(each)
    yield dependant


def _takes_query(dependant: Dependant) -> bool:
    return any(each.query_params for each in _tree(dependant))


def _misshapen(values: Sequence[str], single: bool) -> str | None:
    """What is wrong with them before anybody looks at their meaning."""
    if single and len(values) > 1:
        return "must be given once"
    for value in values:
        if not value:
            return "must not be empty"
        if not value.isascii() and _SURROGATE.search(value):
            return "must be UTF-8"
    return None


def _plain(field: ModelField) -> bool:
    """One text or several, under one name, with a default that requests can share."""
    info = field.field_info
    return (
        (field_annotation_is_scalar(info.annotation) or field_annotation_is_scalar_sequence(info.annotation))
        and info.validation_alias in (None, field.alias)
        and not info.is_required()
        and not info.validate_default
        and info.default_factory is None
        and deepcopy(info.default) is info.default
    )
