"""Jars of Maven Central, fetched once per user; each is checked against the digest that is recorded for it.

A lock file has a line for each jar: its SHA-256 and its coordinates, `group:artifact:version[:classifier]`.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hpctl.embedded.process import ServerError

KAFKA_VERSION = "4.3.1"
ATTEMPTS = 3


@dataclass(frozen=True)
class Jars:
    """What a lock file lists. `name` is for people; `directory` is where the jars lie in the cache."""

    name: str
    directory: str
    lock: Path


KAFKA = Jars(f"Apache Kafka {KAFKA_VERSION}", f"kafka-{KAFKA_VERSION}", Path(__file__).with_name("kafka.sha256"))
"""The broker, and slf4j-simple, which writes its log: Kafka leaves the choice of a logger to its distribution."""


def cache_directory() -> Path:
    """The user's cache of what the embedded servers need; XDG_CACHE_HOME moves it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "healthcare-platform"


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time; the kernel frees the lock of a process that dies."""
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def class_path(jars: Jars) -> list[Path]:
    """The jars in the order of their lock file; the first call on a machine downloads them.

    Raises:
        ServerError: Maven Central cannot be reached, or a file is not what it was when its digest was recorded.
    """
    digests = _digests(jars.lock)
    directory = cache_directory() / jars.directory
    if not directory.exists():
        with locked("jars"):
            if not directory.exists():
                _fetch(jars, digests, directory)
    return [directory / _file(coordinates) for coordinates in digests]


def kafka_jars() -> list[Path]:
    """The broker's class path; 45 MB."""
    return class_path(KAFKA)


def _digests(lock: Path) -> dict[str, str]:
    """Coordinates → SHA-256."""
    lines = (line.split() for line in lock.read_text().splitlines())
    return {coordinates: digest for digest, coordinates in lines}


def _file(coordinates: str) -> str:
    _, *words = coordinates.split(":")
    return "-".join(words) + ".jar"


def _fetch(jars: Jars, digests: dict[str, str], directory: Path) -> None:
    making = directory.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _say(f"fetching {jars.name} from Maven Central, once for this user …")
    with ThreadPoolExecutor(max_workers=8) as pool:
        fetched = pool.map(lambda coordinates: _download(coordinates, making / "repository"), digests)
        for done, (coordinates, source) in enumerate(zip(digests, fetched, strict=True), 1):
            name = _file(coordinates)
            if hashlib.sha256(source.read_bytes()).hexdigest() != digests[coordinates]:
                raise ServerError(f"{name} from Maven Central is not the file it was when its digest was recorded")
            source.replace(making / name)
            if done % 15 == 0 or done == len(digests):
                _say(f"  {done} of {len(digests)} files")
    shutil.rmtree(making / "repository")
    making.rename(directory)


def _download(coordinates: str, repository: Path) -> Path:
    from jgo.maven import MavenContext

    group, artifact, version, *classifier = coordinates.split(":")
    project = MavenContext(repo_cache=repository).project(group, artifact).at_version(version)
    for _ in range(ATTEMPTS):
        try:
            return Path(project.artifact(classifier="".join(classifier), packaging="jar").resolve())
        except Exception as error:  # a resolver raises anything from OSError to its own classes
            failure = error
    text = f"{coordinates} could not be fetched from Maven Central ({failure}); is the network up?"
    raise ServerError(text) from failure


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (progress of a long first run)
