"""`make charts VERSION=1.2.3 REGISTRY=ghcr.io/owner/name`: the charts as packages that pull the images of that release.

In the repository a chart names its image `patient-service:latest`, as `make images` builds it. A package has to say
where the release's images are: this stamps them into a copy, and the operator's defaults for services' images too.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import helm_python
import yaml

CHARTS = Path(__file__).resolve().parent
OPERATOR = "healthcare-operator"
OURS = (
    "patient-service",
    "appointment-service",
    "auth-service",
    "billing-service",
    "analytics-service",
    "api-gateway",
    OPERATOR,
)


def stamp(charts: Path, version: str, registry: str) -> None:
    """Write registry and tag into these charts."""
    for name in OURS:
        path = charts / name / "values.yaml"
        image = f"image: {{repository: {registry}/{name}, tag: {version}}}\n"
        text = re.sub(r"^image:\n(?:  .*\n)+", "", path.read_text(), count=1, flags=re.MULTILINE)
        if "image" in (yaml.safe_load(text) or {}):
            raise ValueError(f"{path}: its image is not written as this script knows it")
        path.write_text(text + image)
    definition = charts / OPERATOR / "templates" / "crd.yaml"
    text = definition.read_text()
    for property_, default, value in (("registry", "''", registry), ("tag", "latest", f"'{version}'")):
        text, found = re.subn(rf"(^ +{property_}:\n +default: ){default}$", rf"\g<1>{value}", text, flags=re.MULTILINE)
        if found != 1:
            raise ValueError(f"{definition}: {found} defaults of images.{property_}, not one")
    definition.write_text(text)


def link(charts: Path, source: str) -> None:
    """Let alerts lead to their runbooks on the web, where the release's source is: the chart's and every platform's."""
    defaults = ((charts / "monitoring" / "values.yaml", 1), (charts / OPERATOR / "templates" / "crd.yaml", 2))
    for path, times in defaults:  # of the field, and of the object that it is in
        link = r"(runbookBaseUrl:(?:\n +default:)? )(?:''|\"\")$"
        text, found = re.subn(link, lambda at: at[1] + json.dumps(source), path.read_text(), flags=re.MULTILINE)
        if found != times:
            raise ValueError(f"{path}: {found} defaults of runbookBaseUrl, not {times}")
        path.write_text(text)


def packages(destination: Path, version: str, registry: str, source: str = "") -> list[Path]:
    """Every chart but the library as `<name>-<version>.tgz`."""
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "charts"
        shutil.copytree(CHARTS, copy)  # what links lead to is copied with it
        stamp(copy, version, registry)
        if source:
            link(copy, source)
        return [
            Path(helm_python.package(chart.parent, destination=destination, version=version, app_version=version))
            for chart in sorted(copy.glob("*/Chart.yaml"))
            if chart.parent.name != "service"
        ]


def main() -> None:
    """The command line; prints the packages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("destination", type=Path)
    parser.add_argument("--version", required=True, help="of charts and images, such as 1.2.3")
    parser.add_argument("--registry", required=True, help="what stands before the images' names")
    parser.add_argument("--source", default="", help="where the release's files can be read, for links to runbooks")
    told = parser.parse_args()
    if not re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", told.version):
        parser.error(f"--version {told.version!r} is no version such as 1.2.3")
    for path in packages(told.destination, told.version, told.registry.lower().rstrip("/"), told.source):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
