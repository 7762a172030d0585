"""What a route takes from the path and the query, without the framework's solver, which costs twenty times as much.

What is well and good goes through each parameter's own validator and nothing else. A query with something wrong in it
is read once more by the framework, so that what it says of it is what it says everywhere.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Annotated, Any, cast

from fastapi._compat import ModelField, field_annotation_is_scalar, field_annotation_is_scalar_sequence
from fastapi.dependencies.utils import request_params_to_args
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams

Validate = Callable[[Any], Any]
_Take = Callable[[QueryParams, str], Any]


class Query:
    """The query parameters of one function, each with a default."""

    def __init__(self, fields: Sequence[ModelField]) -> None:
        self._fields = fields
        self._parts = [(each.name, each.alias, _taken(each), validator(each), each.default) for each in fields]

    @staticmethod
    def can(fields: Sequence[ModelField]) -> bool:
        """Whether they are of the plain kind."""
        return all(_plain(field) for field in fields)

    def read(self, given: QueryParams, found: list[Any]) -> dict[str, Any] | None:
        """The parameters by name; None when something is wrong with them, which is appended to `found`."""
        try:
            return {
                name: validate(take(given, alias)) if alias in given else default
                for name, alias, take, validate, default in self._parts
            }
        except ValidationError:
            values, errors = request_params_to_args(self._fields, given)
            found.extend(errors)
            return None if errors else values


def validator(field: ModelField) -> Validate:
    """The field's own, without what the framework puts around it to tell what is wrong."""
    kind = cast(Any, Annotated[field.field_info.annotation, field.field_info])
    return TypeAdapter(kind).validator.validate_python


def _taken(field: ModelField) -> _Take:
    return QueryParams.get if field_annotation_is_scalar(field.field_info.annotation) else QueryParams.getlist


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
