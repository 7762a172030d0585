"""YAML as every reader of it may read it: what one of them would take for something else than a string is none."""

import re
from functools import cache
from typing import Any

import yaml

TEXT = "tag:yaml.org,2002:str"
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_BOOLEAN = re.compile(r"^([yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)$")


class Loader(yaml.CSafeLoader):
    """YAML 1.1 as PyYAML reads it, and what Go's readers add to it (`1e3`, `y`); a key twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys differ."""
        keys = [each.value for each, _ in node.value]
        if doubles := {each for each in keys if keys.count(each) > 1}:
            raise ValueError(f"the key {doubles.pop()} is there twice")
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOLEAN, list("yYnNoO"))


@cache
def objects(text: str) -> list[dict[str, Any]]:
    """The objects of a template, with the documents inside of ConfigMaps read as well; checksums are left out.

    Raises:
        ValueError: a key is no string, a part of a template failed inside of `fromYaml`, or an object has no name.
    """
    found = [each for each in yaml.load_all(text, Loader) if each]
    for each in found:
        if not isinstance(each, dict) or not isinstance(each.get("metadata", {}).get("name"), str):
            raise ValueError(f"no object with a name: {str(each)[:80]}")
    return [_checked(each) for each in found]


def _checked(node: Any) -> Any:
    if isinstance(node, dict):
        if odd := [key for key in node if not isinstance(key, str) or key == "Error"]:
            raise ValueError(f"the key {odd[0]!r}")
        return {key: _document(key, each) for key, each in node.items() if not key.startswith("checksum/")}
    if isinstance(node, list):
        return [_checked(each) for each in node]
    return node


def _document(key: str, node: Any) -> Any:
    embedded = isinstance(node, str) and key.endswith((".yml", ".yaml")) and "\n" in node
    return list(yaml.load_all(node, Loader)) if embedded else _checked(node)
