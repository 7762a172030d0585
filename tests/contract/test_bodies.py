"""What a body may hold, for the bodies of every service."""

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from chassis.settings import ServiceSettings
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

SERVICES = ("patient", "appointment", "auth", "billing", "analytics")
NO_WHOLE_NUMBERS: list[Any] = [True, False, 1.0, 1.5, "1", "", [1], {}]


def _bodies(service: str) -> Iterator[type[BaseModel]]:
    main = import_module(f"{service}_service.main")
    settings: type[ServiceSettings] = import_module(f"{service}_service.settings").Settings
    for route in main.create_app(settings.from_environ({})).routes:
        if isinstance(route, APIRoute) and route.body_field is not None:
            kind = route.body_field.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield kind


def _whole_numbers(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    for name, field in model.model_fields.items():
        kinds = getattr(field.annotation, "__args__", (field.annotation,))
        if int in kinds or any(int in getattr(kind, "__args__", ()) for kind in kinds):
            yield model, field.alias or name
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _whole_numbers(kind)


FOUND = {found for service in SERVICES for body in _bodies(service) for found in _whole_numbers(body)}


def _wrong(model: type[BaseModel], name: str, value: object) -> bool:
    """Whether this field is among what is wrong with a body that has nothing else."""
    try:
        model.model_validate_json(json.dumps({name: value}))
    except ValidationError as error:
        return name in {each["loc"][0] for each in error.errors()}
    return False


def test_every_version_is_found() -> None:
    names = {f"{model.__name__}.{name}" for model, name in FOUND}
    assert names >= {"PatientUpdate.version", "AppointmentUpdate.version", "Work.count", "Work.through"}


@pytest.mark.contract("D09")
@pytest.mark.parametrize("value", NO_WHOLE_NUMBERS, ids=repr)
def test_nothing_but_a_whole_number_is_one(value: object) -> None:
    for model, name in FOUND:
        assert not _wrong(model, name, 1), (model, name)
        assert _wrong(model, name, value), (model, name)
