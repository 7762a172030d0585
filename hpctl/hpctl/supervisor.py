"""The warm parent: it starts the servers, imports every service once, forks them, and keeps all of it running."""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from hpctl import state
from hpctl.children import CAN_FORK, Module, finish
from hpctl.embedded.postgres import Postgres
from hpctl.embedded.process import Server, ServerError
from hpctl.embedded.valkey import Valkey
from hpctl.environment import embedded_kafka, environment
from hpctl.layout import SERVICES, Failure, Layout, Service
from hpctl.probe import settled
from hpctl.progress import Progress
from hpctl.pulse import Pulse
from hpctl.signals import stop_signals
from hpctl.warm import build, import_services, settle
from hpctl.watched import Child, Watched, end

_STEP_SECONDS = 60.0


class Supervisor:
    """One stack, from its first server to its last child."""

    def __init__(self, layout: Layout, progress: Progress) -> None:
        self.layout = layout
        self.progress = progress
        base = layout.directory
        self.postgres = Postgres(base / "postgres", layout.port("PATIENT_DB_PORT"))
        self.valkey = Valkey(base / "valkey", layout.port("REDIS_PORT"), password=state.password(layout, "valkey"))
        self.kafka = embedded_kafka(layout)
        self.servers: tuple[Server, ...] = (self.postgres, self.valkey, self.kafka)
        for server in self.servers:
            server.log = layout.logs / f"{server.name}.log"
        self.watched: list[Watched] = []
        self._dismissals: list[Module] = []
        self.state = state.State(state.Process.of("supervisor", os.getpid()))
        self._written = True

    def start(self) -> None:
        """Bring everything up in order; Failure or ServerError says what did not come."""
        with self.progress.step("servers", "PostgreSQL, Valkey and Kafka"):
            for server in self.servers:
                server.launch()
                self._watch(server)
            if CAN_FORK:
                import_services()
            for server in self.servers:
                server.wait()
        with self.progress.step("databases", "one database and role per service"):
            names = [service.database for service in SERVICES if service.database_port]
            self.postgres.create_databases({name: state.password(self.layout, name) for name in names})
        topics, migrations = self._topics(), self._migrations()
        for module in (topics, *migrations):
            module.launch()
        services = {service: self._service(service) for service in SERVICES}  # while those are at work
        with self.progress.step("topics", "on Kafka"):
            finish([topics], _STEP_SECONDS)
        with self.progress.step("migrations", "of each service's schema"):
            finish(migrations, _STEP_SECONDS)
        with self.progress.step("services", "demo data, and " + ", ".join(service.name for service in SERVICES)):
            self._start_services(services)
        self.state.ready = True
        self._write()

    def supervise(self) -> None:
        """Keep the children running until SIGTERM or SIGINT."""
        with stop_signals() as stopped:
            while not stopped(self._pause()):
                now = time.monotonic()
                changes = [watched.tend(now) for watched in self.watched]
                if any(changes) or not self._written:
                    self._note()

    def stop(self) -> None:
        """End the services, then the servers; whoever does not end in time is killed."""
        children = [watched.child for watched in self.watched]
        end([child for child in children if child not in self.servers])
        end(self.servers)
        (self.layout.directory / "state.json").unlink(missing_ok=True)

    def _topics(self) -> Module:
        return Module("topics", "hpctl.topics", environment(self.layout, SERVICES[0]), self._log("topics"))

    def _migrations(self) -> list[Module]:
        return [
            Module(
                service.name, service.package, environment(self.layout, service), self._log(service.name), ["migrate"]
            )
            for service in SERVICES
            if service.database_port
        ]

    def _service(self, service: Service) -> Module:
        environ, log = environment(self.layout, service), self._log(service.name)
        serve = build(service, environ, log) if CAN_FORK else None
        return Module(service.name, service.package, environ, log, serve=serve)

    def _start_services(self, services: Mapping[Service, Module]) -> None:
        settle()
        self._doors().launch()
        for service, module in services.items():
            module.launch()
            self._watch(module, self._pulse(service), partial(self._dismiss, service) if service.group else None)
        deadline = time.monotonic() + _STEP_SECONDS
        for service, module in services.items():
            while not settled(self.layout.port(service.port)):
                if not module.running:
                    raise Failure(f"{module.name} did not start: {module.last_words()} ({module.log})")
                if time.monotonic() > deadline:
                    raise Failure(f"{module.name} is not UP after {_STEP_SECONDS:.0f} s; see {module.log}")
                time.sleep(0.02)

    def _doors(self) -> Module:
        target = self.layout.port("PATIENT_DB_PORT")
        ports = [self.layout.port(service.database_port) for service in SERVICES if service.database_port]
        environ = {"DOORS": ",".join(str(port) for port in ports if port != target), "DOORS_TO": str(target)}
        module = Module("database-doors", "hpctl.doors", environ, self._log("database-doors"))
        self._watch(module)
        return module

    def _pulse(self, service: Service) -> Pulse | None:
        """None where it is switched off, and where a debugger may hold the service still."""
        watches = self.layout.hung_seconds and not self.layout.environ.get("DEBUG_PORT")
        return Pulse(self.layout.port(service.port), self.layout.hung_seconds) if watches else None

    def _dismiss(self, service: Service) -> None:
        """The dead member leaves its consumer group; nobody waits for that."""
        self._dismissals = [module for module in self._dismissals if module.running]  # which reaps the others
        environ = environment(self.layout, service)
        module = Module("groups", "hpctl.groups", environ, self._log("groups"), [str(service.group)])
        with suppress(OSError):  # a full disk: the group waits for the end of the session
            module.launch()
            self._dismissals.append(module)

    def _watch(self, child: Child, pulse: Pulse | None = None, on_end: Callable[[], None] | None = None) -> None:
        self.watched.append(Watched(child, pulse, on_end))
        self._write()

    def _note(self) -> None:
        """A full disk ends nothing: the state is written again until there is room."""
        try:
            self._write()
            self._written = True
        except OSError:
            self._written = False

    def _write(self) -> None:
        self.state.processes = [
            state.Process.of(each.child.name, each.child.pid, each.restarts) for each in self.watched if each.child.pid
        ]
        self.state.write(self.layout)

    def _log(self, name: str) -> Path:
        return self.layout.logs / f"{name}.log"

    def _pause(self) -> float:
        now = time.monotonic()
        waits = [wait for watched in self.watched if (wait := watched.due_in(now)) is not None]
        return min([*waits, 1.0])


def main() -> int:
    """Run the stack that PORT_OFFSET names; the one argument is the descriptor for progress."""
    layout = Layout.from_environ()
    progress = Progress(int(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    with (layout.directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.fail("another `hpctl up` is starting this stack")
            return 1
        try:
            run(Supervisor(layout, progress))
        except (Failure, ServerError) as error:
            progress.fail(str(error))
            return 1
        except Exception as error:
            progress.fail(f"{type(error).__name__}: {error}; see {layout.logs / 'supervisor.log'}")
            raise
    return 0


def run(supervisor: Supervisor) -> None:
    """Start, supervise, and stop, however it ends."""
    try:
        supervisor.start()
        supervisor.progress.close()
        supervisor.supervise()
    finally:
        supervisor.stop()


if __name__ == "__main__":
    sys.exit(main())
