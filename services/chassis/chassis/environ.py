"""How settings are read: from one mapping of variables, with aliases and secrets in files.

A field's variable is its name in upper case unless an alias says otherwise. `chassis.aliases` turns the names of
the Spring world into ours first. A secret may stand in a file instead: `JWT_SECRET_FILE`. An empty variable is an
unset one.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from chassis.aliases import canonical

_environ: ContextVar[Mapping[str, str]] = ContextVar("environ")


class ConfigurationError(Exception):
    """A setting is missing or wrong; the text is one sentence that names the variable and never its value."""


class SecretFile(SecretStr):
    """A secret that was read from a file, and where that is: a mounted Secret may be rotated."""

    def __init__(self, secret_value: str, path: str) -> None:
        super().__init__(secret_value)
        self.path = path


def secret_now(secret: SecretStr) -> str:
    """The secret as its file has it now, where it has one that can be read."""
    if isinstance(secret, SecretFile):
        with suppress(OSError, UnicodeDecodeError):
            return Path(secret.path).read_text().strip() or secret.get_secret_value()
    return secret.get_secret_value()


class _Source(PydanticBaseSettingsSource):
    """Reads one mapping of variables, with aliases and `_FILE`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = variable(field_name, field)
        environ = canonical(_environ.get(os.environ), getattr(self.settings_cls, "service_name", ""))
        if field.annotation in (SecretStr, SecretStr | None) and (path := environ.get(f"{name}_FILE")):
            if environ.get(name):
                raise ConfigurationError(f"{name} and {name}_FILE are both set: keep one of them")
            return SecretFile(_content(name, path), path), name, False
        return environ.get(name) or None, name, False

    def __call__(self) -> dict[str, Any]:
        found = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, name, _ = self.get_field_value(field, field_name)
            if value is not None:
                found[name if field.validation_alias else field_name] = value
        return found


class EnvironSettings(BaseSettings):
    """Settings that are read from arguments and the environment, and from nothing else."""

    service_name: ClassVar[str] = "service"

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then our own reading of the environment."""
        return init_settings, _Source(settings_cls)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Reads this mapping only, or the process's environment.

        Raises:
            ConfigurationError: the first thing wrong, as one sentence that names the variable.
        """
        token = _environ.set(os.environ if environ is None else environ)
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(_sentence(cls, error)) from None
        finally:
            _environ.reset(token)


def _content(name: str, path: str) -> str:
    try:
        content = Path(path).read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{name}_FILE names a file that cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}_FILE names a file that is not text") from None
    if not content:
        raise ConfigurationError(f"{name}_FILE names an empty file")
    return content


def secret_of(variable: str, folder: str, key: str, *, optional: bool) -> str:
    """One key of a mounted Secret, whose folder `variable` names.

    Raises:
        ConfigurationError: its file cannot be read, and it is not optional.
    """
    try:
        return (Path(folder) / key).read_text().strip()
    except OSError as error:
        if optional:
            return ""
        raise ConfigurationError(f"{variable} has no readable file {key} ({error.strerror})") from None


def variable(field_name: str, field: FieldInfo) -> str:
    """The environment variable of a field."""
    return field.validation_alias if isinstance(field.validation_alias, str) else field_name.upper()


def _sentence(cls: type[BaseSettings], error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    field = cls.model_fields.get(name)
    return f"{variable(name, field) if field else name}: {message[0].lower()}{message[1:]}"
