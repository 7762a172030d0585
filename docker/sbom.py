"""Adds the packages of an image's distribution to the bill of its Python packages: sbom.py IMAGE BILL."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

LIST = r". /etc/os-release; echo $ID; dpkg-query -W -f '${Package} ${Version} ${Architecture}\n'"


def components(image: str) -> list[dict[str, str]]:
    """Each package as CycloneDX writes it, named as https://github.com/package-url/purl-spec says for Debian."""
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", LIST]
    distribution, *lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for name, version, architecture in map(str.split, lines):
        url = f"pkg:deb/{distribution}/{quote(name)}@{quote(version, safe='')}?arch={architecture}"
        found.append({"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url})
    return found


def main(image: str, path: Path) -> None:
    """Rewrites the bill; without Docker or the image it stays as it is, and a line says so."""
    bill = json.loads(path.read_text())
    try:
        bill["components"] += components(image)
    except (OSError, subprocess.CalledProcessError):
        print(f"{path}: Python's packages alone, for there is no image {image} here", file=sys.stderr)
    else:
        path.write_text(json.dumps(bill, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
