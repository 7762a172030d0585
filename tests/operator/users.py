"""The six services on real servers, each as its own user of a guarded Kafka."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from healthcare_operator.helm import Charts
from healthcare_operator.platform import Platform
from healthcare_operator.render import components
from healthcare_operator.settings import Settings
from healthcare_operator.spec import Spec
from hpctl.embedded.postgres import Postgres
from hpctl.embedded.process import Server, dying_with_parent
from hpctl.embedded.valkey import Valkey
from hpctl.environment import environment
from hpctl.layout import SERVICES, Layout, Service
from hpctl.probe import settled

from hpctl import state
from tests.operator.guarded import GuardedKafka, Manifest
from tests.ports import free_offset


@dataclass(frozen=True)
class Rendered:
    """What the operator makes of a spec: resources of Strimzi, and the settings of each service."""

    kafka: list[Manifest]
    settings: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, spec: Spec) -> "Rendered":
        found = components(Platform("care", "here", "uid", 1, spec), Charts(Settings().charts_dir))
        maps = {name: each["data"] for name in found for each in found[name] if each["kind"] == "ConfigMap"}
        return cls(found["kafka"], {service.name: maps[service.name] for service in SERVICES})

    @property
    def users(self) -> list[str]:
        """The names of the KafkaUsers."""
        return [each["metadata"]["name"] for each in self.kafka if each["kind"] == "KafkaUser"]

    def user(self, service: str) -> str:
        return self.settings[service]["KAFKA_USERNAME"]


class Process(Server):
    """A service of the platform."""

    def __init__(self, directory: Path, layout: Layout, service: Service, kafka: Mapping[str, str]) -> None:
        self.name = service.name
        super().__init__(directory, layout.port(service.port))
        self._package = service.package
        plain = {name: text for name, text in environment(layout, service).items() if not name.startswith("KAFKA_")}
        self._environ = {**plain, **kafka, "DDL_AUTO": "update"}

    def prepare(self) -> None:
        """Nothing: it migrates by itself."""

    def command(self) -> list[str]:
        return dying_with_parent([sys.executable, "-m", self._package])

    def environment(self) -> Mapping[str, str]:
        return self._environ

    def answers(self) -> bool:
        return settled(self.port)


@contextmanager
def running(broker: GuardedKafka, rendered: Rendered, base: Path) -> Iterator[Layout]:
    """The platform, until the end of the block."""
    layout = Layout(free_offset())
    names = [service.database for service in SERVICES if service.database_port]
    postgres = Postgres(base / "postgres", layout.port("PATIENT_DB_PORT"), durable=False)
    valkey = Valkey(base / "valkey", layout.port("REDIS_PORT"), password=state.password(layout, "valkey"))
    started: list[Server] = [postgres, valkey]
    try:
        for server in (postgres, valkey):
            server.start()
        postgres.create_databases({name: state.password(layout, name) for name in names})
        for service in SERVICES:
            kafka = _kafka(broker, rendered, service.name, base) if service.database_port else {}
            started.append(Process(base, layout, service, kafka))
            started[-1].launch()
        for server in started:
            server.wait()
        yield layout
    finally:
        for server in reversed(started):
            server.stop()
        shutil.rmtree(layout.directory, ignore_errors=True)


def _kafka(broker: GuardedKafka, rendered: Rendered, service: str, base: Path) -> dict[str, str]:
    told = {name: text for name, text in rendered.settings[service].items() if name.startswith("KAFKA_")}
    password = base / f"{service}.password"
    password.write_text(broker.passwords[told["KAFKA_USERNAME"]])
    address = f"{broker.host}:{broker.external_port}"
    here = {"KAFKA_BOOTSTRAP_SERVERS": address, "KAFKA_PASSWORD_FILE": password, "KAFKA_CA_FILE": broker.ca}
    assert here.keys() <= told.keys()
    return told | {name: str(value) for name, value in here.items()}
