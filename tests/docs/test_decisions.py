"""What the decisions say of the code is so."""

import re

from tests.conftest import ROOT


def test_the_table_of_the_chassis_names_each_module_once() -> None:
    page = (ROOT / "docs" / "adr" / "0011-what-the-chassis-carries.md").read_text()
    named = " ".join(re.findall(r"^\| .+ \| `([a-z_ ]+)` \|$", page, re.MULTILINE)).split()
    found = (ROOT / "services" / "chassis" / "chassis").glob("[a-z]*")
    modules = {path.stem for path in found if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(named) == sorted(modules)
