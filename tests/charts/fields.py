"""Forms that take values (a chart, the resource): the fields that take strings, and where Helm puts them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Protocol

from tests.charts.corpus import Path, Schema, completed, markers, name, placed, strings
from tests.charts.rendering import Manifest

_FILLERS = ("patient-service", "FILLER", "FILLER_SERVICE_URL", "7132", "filler:7132")


class Refused(Exception):
    """Values are refused; the text says which."""


@dataclass(frozen=True)
class Field:
    """A place that takes a string; `marker` is a value that it takes, `filler` what stands beside it.

    A field without a marker takes a few words only, none of them in the corpus.
    """

    path: Path
    marker: str
    filler: str

    @property
    def name(self) -> str:
        """What a refusal has to speak of."""
        return name(self.path)

    def __str__(self) -> str:
        return ".".join(self.path)


Given = Mapping[Field, str]


class Taking(Protocol):
    """What takes values: a schema, contexts that switch on what values speak of, and Helm behind it."""

    schema: Schema
    contexts: list[Manifest]

    def faults(self, values: Manifest) -> str:
        """What the schema has against these values, or nothing."""
        ...

    def texts(self, values: Manifest) -> dict[str, str]:
        """Text by template.

        Raises:
            Refused: the values are.
        """
        ...


class Form:
    """The fields of something that takes values; those in `elsewhere` are another form's, too."""

    def __init__(self, taking: Taking, elsewhere: Iterable[Field] = ()) -> None:
        self._taking = taking
        self._elsewhere = frozenset(elsewhere)
        self.contexts = taking.contexts

    @cached_property
    def fields(self) -> list[Field]:
        """Every place that takes a string."""
        paths = dict.fromkeys(strings(self._taking.schema))
        return [self._field(number, path) for number, path in enumerate(paths, start=100)]

    def _field(self, number: int, path: Path) -> Field:
        for marker, filler in product(markers(number), _FILLERS):
            field = Field(path, marker, filler)
            if self.takes(field, marker):
                return field
        return Field(path, "", _FILLERS[0])

    def takes(self, field: Field, value: str) -> bool:
        """Whether the schema has nothing against this value."""
        return not self._taking.faults(self.values({field: value}))

    def values(self, given: Given) -> Manifest:
        """Values with each field as given."""
        found: Manifest = {}
        for field, value in given.items():
            found = merged(found, placed(field.path, value, self._taking.schema, field.filler))
        filled: Manifest = completed(found, self._taking.schema, _FILLERS[0])
        return filled

    def rendered(self, context: Manifest, given: Given) -> dict[str, str]:
        """Text by template."""
        return self._taking.texts(merged(context, self.values(given)))

    @cached_property
    def batches(self) -> list[tuple[Manifest, list[Field]]]:
        """Fields that come out side by side; what one of them hides (a digest the tag) comes in a later batch."""
        found = []
        asked = [field for field in self.fields if field.marker and field not in self._elsewhere]
        for context in self.contexts:
            left = [field for field in asked if self._shown(context, [field])]
            while left:
                batch = self._together(context, left)
                found.append((context, batch))
                left = [field for field in left if field not in batch]
        return found

    @cached_property
    def arrived(self) -> frozenset[Field]:
        """Every field that comes out somewhere."""
        return frozenset(field for _, batch in self.batches for field in batch)

    def _together(self, context: Manifest, fields: list[Field]) -> list[Field]:
        """As many of the fields as one rendering shows, or half of them, where some exclude each other."""
        return self._shown(context, fields) or self._together(context, fields[: (len(fields) + 1) // 2])

    def _shown(self, context: Manifest, fields: Iterable[Field]) -> list[Field]:
        try:
            text = "".join(self.rendered(context, {field: field.marker for field in fields}).values())
        except Refused:
            return []
        return [field for field in fields if field.marker in text]


def merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`, as Helm lays files of values; items of lists are laid over each other as well."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: merged(base.get(key), each) for key, each in over.items()}
    if isinstance(base, list) and isinstance(over, list) and base and over:
        return [merged(base[0], over[0])]
    return over
