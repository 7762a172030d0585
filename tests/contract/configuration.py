"""Writes docs/configuration.md from the typed settings: each variable, what it means, its default, and its readers."""

import importlib
from pathlib import Path
from typing import Any

from chassis.aliases import NAMES, PATIENT_NAMES
from chassis.environ import variable
from chassis.settings import PLACEHOLDERS
from hpctl.layout import PORTS, SERVICES
from pydantic import SecretStr
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"

HEAD = """# Configuration

Every service reads its settings from environment variables when it starts; what is wrong is said in one sentence
that names the variable, with exit code 2. An empty variable is an unset one. For every secret `<NAME>_FILE` may
name a file that holds it. With `APP_ENV=production` placeholders, short keys, demo data and the debugger are
refused. This page is generated from the settings (`make contract`).
"""
COMMAND_LINE = """
## The embedded stack
`hpctl` gives each service its own settings; these variables move it.

| variable | meaning | default |
| --- | --- | --- |
| `HPCTL_EMAIL` | who `hpctl` logs in as | the demo administrator |
| `HPCTL_PASSWORD` | with which password | the demo password |
| `HPCTL_HUNG_SECONDS` | seconds after which a hung service is started again; 0, or a `DEBUG_PORT`: never | 60 |
| `HPCTL_START` | `spawn` starts services as on macOS: each for itself, instead of forked from one warm process | |
| `PG_BINDIR` | where PostgreSQL's programs are, instead of those from PyPI | |
| `XDG_CACHE_HOME` | what is fetched once is kept below it, in `healthcare-platform` | `~/.cache` |
| `PORT_OFFSET` | a multiple of 100 up to 20000: stacks at different offsets share no port; `hpctl up` prints them | 0 |
"""
ALIASES = """
## Names from the Spring world
Understood everywhere, and translated in one module; our own name wins when both are set. A `jdbc:postgresql://` URL
is understood, user and password in it too.

| name | ours |
| --- | --- |
"""
MEMORY = """
## Memory, workers and the debugger
There is no heap to set: a process grows with `DATABASE_POOL_SIZE` and its load; run more processes instead
(`SERVICE_ROLES` separates `api`, `consumer` and `relay`). `JAVA_TOOL_OPTIONS` is ignored. A debugger attaches to
`DEBUG_PORT` (debugpy, on loopback only).
"""


def settings_classes() -> dict[str, type[Any]]:
    """Service → its settings class."""
    return {service.name: importlib.import_module(f"{service.package}.settings").Settings for service in SERVICES}


def variables() -> dict[str, dict[str, FieldInfo]]:
    """Variable → service that reads it → its field there."""
    found: dict[str, dict[str, FieldInfo]] = {}
    for service, settings in settings_classes().items():
        for name, field in settings.model_fields.items():
            found.setdefault(variable(name, field), {})[service] = field
    return found


def render() -> str:
    """The page."""
    lines = [HEAD, "| variable | meaning | default | read by |", "| --- | --- | --- | --- |"]
    for name, fields in sorted(variables().items()):
        readers = "all" if len(fields) == len(SERVICES) else ", ".join(fields)
        about = next(iter(fields.values())).description
        lines.append(f"| `{name}` | {about} | {_defaults(fields)} | {readers} |")
    ports = [f"| `{name}` | a port | {port} |" for name, port in PORTS.items()]
    names = [f"| `{alias}` | `{name}` |" for alias, name in (NAMES | PATIENT_NAMES).items()]
    return "\n".join(lines) + "\n" + COMMAND_LINE + "\n".join(ports) + "\n" + ALIASES + "\n".join(names) + "\n" + MEMORY


def _defaults(fields: dict[str, FieldInfo]) -> str:
    """The default, and that of a service that has one of its own."""
    texts = {service: _default(field) for service, field in fields.items()}
    common = max(texts.values(), key=[*texts.values()].count)
    others = [f"{text} for {service}" for service, text in texts.items() if text != common]
    return "; ".join([common, *others])


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        return f"`{value.get_secret_value()}`" if value.get_secret_value() in PLACEHOLDERS else ""
    if isinstance(value, frozenset):
        return ", ".join(f"`{word}`" for word in sorted(value))
    return "" if value in (None, "", {}) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(render())
