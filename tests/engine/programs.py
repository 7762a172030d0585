"""Programs that no distribution packages: built from their registries once per version and kept in the user's cache."""

import shutil
import subprocess
from pathlib import Path

from tests.cluster import build
from tests.engine.needs import install, install_libraries
from tests.lacking import Lacking

JAEGER = "v1.76.0"  # the module's name for Jaeger 2.13.0
_JAEGER = "github.com/jaegertracing/jaeger/cmd/jaeger"
KAFKA_EXPORTER = "0.1.29"
CARGO_SECONDS = 1500


def jaeger() -> Path:
    """Jaeger without the pages of its user interface, which are no part of the module."""
    return build.cached(build.CACHE / f"jaeger-{JAEGER}" / "jaeger", _build_jaeger)


def kafka_exporter() -> Path:
    """klag-exporter, of the crate that its image is made of."""
    return build.cached(build.CACHE / f"klag-exporter-{KAFKA_EXPORTER}" / "klag-exporter", _build_kafka_exporter)


def _build_jaeger(target: Path) -> None:
    """Inside a module of its own: Jaeger's replaces a dependency, and such a one cannot be installed by its name."""
    module = target.parent / "module"
    module.mkdir()
    build.go("mod", "init", "standins", cwd=module)
    build.go("get", "-tool", f"{_JAEGER}@{JAEGER}", cwd=module)
    build.go("build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), _JAEGER, cwd=module)


def _build_kafka_exporter(target: Path) -> None:
    install({"cmake": "cmake", "c++": "build-essential"})
    install_libraries(
        {"libcurl": "libcurl4-openssl-dev", "openssl": "libssl-dev", "libsasl2": "libsasl2-dev", "zlib": "zlib1g-dev"}
    )
    command = ["nice", "-n", "5", _cargo(), "install", "--locked", "--quiet", f"klag-exporter@{KAFKA_EXPORTER}"]
    done = subprocess.run(
        [*command, "--root", target.parent, "--target-dir", target.parent / "objects"],
        capture_output=True,
        text=True,
        timeout=CARGO_SECONDS,
        check=False,
    )
    if done.returncode:
        raise build.BuildError("klag-exporter", done.stderr)
    (target.parent / "bin" / target.name).rename(target)


def _cargo() -> str:
    """rustup's where that is; else Debian's for browsers, since its other one is too old."""
    homes = str(Path.home() / ".cargo" / "bin")
    if shutil.which("cargo", path=homes) is None:
        install({"cargo": "cargo-web"})
    found = shutil.which("cargo", path=homes) or shutil.which("cargo")
    if found is None:
        raise Lacking("cargo", "klag-exporter is made of Rust: install rustup, or cargo with the package manager")
    return found


if __name__ == "__main__":
    print(jaeger(), kafka_exporter())
