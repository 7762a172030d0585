"""What may follow a release: one that is good, one whose migration fails, and one that fails after its migration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECOND, FAILING, BROKEN = "second", "failing", "broken"
MIGRATED = "patient-service"  # has a migration of its own in each
_VERSIONS = Path(__file__).parents[3] / "services" / MIGRATED / "patient_service" / "migrations" / "versions"
NOW = max(each.name[:4] for each in _VERSIONS.glob("*.py"))
"""The newest revision of its schema; the second and the third release add one each."""
NEXT, THIRD = f"{int(NOW) + 1:04}", f"{int(NOW) + 2:04}"
MIGRATION_SECONDS = 8
COMPLAINT = "the third release finds no column of that name"

_MIGRATION = '''
"""Not of the project: what a later release may bring."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    for statement in {statements}:
        op.execute(statement)
'''
_SLOW = (f"SELECT pg_sleep({MIGRATION_SECONDS})", "ALTER TABLE patient ADD COLUMN nickname text")
_FAILS = (f"DO $$ BEGIN RAISE EXCEPTION '{COMPLAINT}'; END $$",)
_WORKS = ("ALTER TABLE patient ADD COLUMN third text",)
# It migrates and never serves: an error in new code, found only when it runs.
_NEVER_SERVES = (
    "import os, sys\nif 'patient_service' in sys.orig_argv and 'migrate' not in sys.orig_argv:\n    os._exit(3)\n"
)


@dataclass(frozen=True)
class Release:
    """An image made out of another one: `files` are in the context of a Dockerfile with `lines`."""

    tag: str
    base: str
    files: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[str] = ()


def releases(services: Iterable[str]) -> Iterator[Release]:
    """The second release of every service, and third ones of the service that is migrated."""
    for name in services:
        more = _migrating(NEXT, NOW, _SLOW) if name == MIGRATED else Release("", "")
        lines = ("ENV APP_VERSION=0.2.0", *more.lines)
        yield Release(f"{name}:{SECOND}", f"{name}:latest", more.files, lines)
    second = f"{MIGRATED}:{SECOND}"
    fails, works = _migrating(THIRD, NEXT, _FAILS), _migrating(THIRD, NEXT, _WORKS)
    yield Release(f"{MIGRATED}:{FAILING}", second, fails.files, fails.lines)
    broken = {**works.files, "sitecustomize.py": _NEVER_SERVES}
    lines = (*works.lines, "COPY sitecustomize.py /broken/sitecustomize.py", "ENV PYTHONPATH=/broken")
    yield Release(f"{MIGRATED}:{BROKEN}", second, broken, lines)


def _migrating(revision: str, before: str, statements: Sequence[str]) -> Release:
    """Files and lines alone: a migration beside those that the image has."""
    package = MIGRATED.replace("-", "_")
    name = f"{revision}_later.py"
    find = f"python -c 'import {package} as it; print(it.__path__[0])'"
    copy = f'RUN cp /tmp/{name} "$({find})/migrations/versions/"'
    lines = (f"COPY {name} /tmp/{name}", "USER 0", copy, "USER 10001:10001")
    return Release("", "", {name: _MIGRATION.format(revision=revision, before=before, statements=statements)}, lines)
