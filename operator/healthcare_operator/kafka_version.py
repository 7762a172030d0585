"""The built-in Kafka does not go back to an older minor version: its files are of the newer one; pure.

Strimzi refuses this itself, by the version of its metadata. Here what counts is the newest version that was ever ready,
kept in the status, so that a version that never came up can be taken back.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from healthcare_operator.platform import Manifest, Ref
from healthcare_operator.readiness import ready

_TAG = re.compile(r":v?(\d+)\.(\d+)(?:[.-][^:/@]*)?(?:@.*)?$")


class GoneBack(Exception):
    """The spec asks for an older version than there was."""


def told(status: Mapping[str, Any]) -> str:
    """What a status says of it."""
    return str(status.get("version", {}).get("kafka", ""))


def newest(before: str, wanted: Iterable[Manifest], observed: Mapping[Ref, Manifest]) -> str:
    """The newest minor version that was ready, such as 4.1; `before` is what was known of it, `wanted` Kafka's own."""
    live = [observed.get(Ref.of(each)) for each in wanted if each["kind"] == "StatefulSet"]
    ran = [minor(_image(each)) for each in live if each and ready(each)[0]]
    return max([before, *ran], key=_number)


def check(ever: str, wanted: Iterable[Manifest]) -> None:
    """A tag that is no version is let through.

    Raises:
        GoneBack: Kafka cannot become what is wanted.
    """
    for each in wanted:
        asked = minor(_image(each)) if each["kind"] == "StatefulSet" else ""
        if asked and older(asked, ever):
            raise GoneBack(
                f"the built-in Kafka cannot go back from {ever} to {asked}: its files are of the newer version"
            )


def _image(manifest: Manifest) -> str:
    return str(manifest["spec"]["template"]["spec"]["containers"][0]["image"])


def minor(image: str) -> str:
    """The minor version that an image is of, such as 4.1; empty where its tag is no version."""
    found = _TAG.search(image)
    return f"{found[1]}.{found[2]}" if found else ""


def older(one: str, other: str) -> bool:
    """Whether a minor version is older than another one."""
    return _number(one) < _number(other)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("."))) if version else ()
