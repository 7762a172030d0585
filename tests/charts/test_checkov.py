"""checkov over everything that the charts render."""

import json
import os
import subprocess
from pathlib import Path

import yaml

from tests.charts.rendering import combinations, render

CHECKOV = [os.environ.get("UV", "uv"), "tool", "run", "--from", "checkov==3.3.*", "checkov"]
CONFIGURATION = Path(__file__).with_name("checkov.yaml")


def test_checkov_finds_nothing_and_is_told_to_overlook_three_things(tmp_path: Path) -> None:
    assert len(yaml.safe_load(CONFIGURATION.read_text())["skip-check"]) <= 3
    for number, (chart, values) in enumerate(combinations()):
        (tmp_path / f"{number}-{chart}.yaml").write_text(yaml.dump_all(render(chart, values), Dumper=yaml.CSafeDumper))
    options = ["--config-file", CONFIGURATION, "--directory", tmp_path, "--framework", "kubernetes"]
    done = subprocess.run(
        [*CHECKOV, *options, "--compact", "--output", "json"],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"BC_SKIP_MAPPING": "TRUE"},
        check=False,
    )
    report = json.loads(done.stdout)
    found = {(each["check_id"], each["resource"]) for each in report["results"]["failed_checks"]}
    assert not found
    assert report["summary"]["passed"] > 3000
    assert report["summary"]["parsing_errors"] == 0
