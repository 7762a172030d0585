"""Apache Kafka's jars: fetched once per user from Maven Central, checked against the digests beside this file."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hpctl.embedded.process import ServerError

KAFKA_VERSION = "4.3.1"
# The broker, and what writes its log: Kafka leaves the choice of a logger to its distribution.
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
_DIGESTS = Path(__file__).with_name("kafka.sha256")


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


def kafka_jars() -> list[Path]:
    """The class path, in an order that never changes; the first call on a machine downloads 45 MB."""
    digests = expected_digests()
    directory = cache_directory() / f"kafka-{KAFKA_VERSION}"
    if not directory.exists():
        with locked("jars"):
            if not directory.exists():
                _fetch(directory, digests)
    return [directory / name for name in digests]


def expected_digests() -> dict[str, str]:
    """File name → SHA-256, the broker's own jar first."""
    lines = (line.split() for line in _DIGESTS.read_text().splitlines())
    return {name: digest for digest, name in lines}


def _fetch(directory: Path, digests: dict[str, str]) -> None:
    making = directory.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    repository = making / "repository"
    try:
        found = _download(repository)
    except Exception as error:  # a resolver raises anything from OSError to its own classes
        raise ServerError(
            f"Apache Kafka could not be fetched from Maven Central ({error}); is the network up?"
        ) from error
    for name, digest in digests.items():
        source = found.get(name)
        if source is None or hashlib.sha256(source.read_bytes()).hexdigest() != digest:
            raise ServerError(f"{name} from Maven Central is not the file it was when its digest was recorded")
        source.replace(making / name)
    shutil.rmtree(repository)
    making.rename(directory)


def _download(repository: Path) -> dict[str, Path]:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=repository)
    wanted = [context.create_dependency(coordinate) for coordinate in COORDINATES]
    _say(f"fetching Apache Kafka {KAFKA_VERSION} from Maven Central, once for this user …")
    inputs, others = context.resolver.resolve(wanted)
    artifacts = [each.artifact for each in (*inputs, *others) if each.scope in (None, "compile", "runtime")]
    found: dict[str, Path] = {}
    with ThreadPoolExecutor(max_workers=8) as pool:
        for done, path in enumerate(pool.map(lambda artifact: artifact.resolve(), artifacts), 1):
            found[path.name] = path
            if done % 15 == 0 or done == len(artifacts):
                _say(f"  {done} of {len(artifacts)} files")
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (progress of a long first run)
