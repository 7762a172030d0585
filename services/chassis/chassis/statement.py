"""SQL built from the tables once and bound in microseconds.

A statement is a SQLAlchemy Core expression compiled for asyncpg when the module is imported. What would surprise at
three in the morning is refused early: a column that only the ORM would fill, at import; a missing or unknown name,
at use.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
_Bind = tuple[str | None, Any, Callable[[Any], Any] | None]


class Statement:
    """One SQL statement: `.sql` with `$1`, `.arguments({name: value})` in order.

    `conflicts` maps the name of a unique constraint to the field it speaks of: a violation becomes errors.Conflict.

    Raises:
        ValueError: the expression writes a column that needs a Python-side default.
    """

    __slots__ = ("_binds", "_names", "_simple", "conflicts", "locks", "sql", "summary")

    def __init__(self, expression: sa.sql.Executable, conflicts: Mapping[str, str] | None = None) -> None:
        compiled = expression.compile(dialect=_DIALECT)  # type: ignore[attr-defined]  # every executable compiles
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - the dialect's own
        _refuse_hidden_defaults(compiled)
        self.sql = str(compiled)
        self.summary = _summary(self.sql)
        self.locks = _LOCKS.search(self.sql) is not None
        self.conflicts = dict(conflicts or {})
        self._binds = _binds(compiled)
        self._names = frozenset(name for name, _, _ in self._binds if name is not None)
        self._simple = all(name is not None and processor is None for name, _, processor in self._binds)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the placeholders.

        Raises:
            TypeError: a name is missing or unknown; nothing silently becomes NULL.
        """
        if len(values) != len(self._names) or values.keys() != self._names:
            missing, unknown = sorted(self._names - values.keys()), sorted(values.keys() - self._names)
            raise TypeError(f"statement binds {sorted(self._names)}: missing {missing}, unknown {unknown}")
        if self._simple:
            return [values[name] for name, _, _ in self._binds]  # type: ignore[index]  # simple: all have names
        return [_bound(values, bind) for bind in self._binds]


_LOCKS = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|FOR (KEY )?SHARE)\b")


def _summary(sql: str) -> str:
    """`INSERT patient`: what a span is called, without a value."""
    found = re.search(r"\b(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", sql) or re.search(r"\b(FROM)\s+(\w+)", sql)
    return f"{found[1].split()[0].replace('FROM', 'SELECT')} {found[2]}" if found else "SELECT"


def _bound(values: Mapping[str, Any], bind: _Bind) -> Any:
    name, constant, processor = bind
    value = constant if name is None else values[name]
    return processor(value) if processor is not None and value is not None else value


def _binds(compiled: SQLCompiler) -> list[_Bind]:
    parameters = {name: parameter for parameter, name in compiled.bind_names.items()}
    processors: Mapping[str, Any] = compiled._bind_processors
    binds: list[_Bind] = []
    for name in compiled.positiontup or ():
        parameter = parameters[name]
        # JSON goes to the connection's codec, which the pool sets up: SQLAlchemy's would encode it a second time.
        processor = None if isinstance(parameter.type, sa.JSON) else processors.get(name)
        constant = None if parameter.required else parameter.effective_value
        binds.append((name if parameter.required else None, constant, processor))
    return binds


def _refuse_hidden_defaults(compiled: SQLCompiler) -> None:
    hidden = [
        column.name
        for column in (*(compiled.insert_prefetch or ()), *(compiled.update_prefetch or ()))
        if column.default is not None or column.onupdate is not None
    ]
    if hidden:
        raise ValueError(f"columns {hidden} would need a Python-side default: bind them, or give them a server default")
