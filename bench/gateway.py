"""The gateway against bare nginx: the same upstream, the same load, each on the same processor in turn.

nginx only proxies over kept connections. The gateway besides parses strictly, checks a real token, counts against a
limit that Valkey shares, rewrites both heads and keeps metrics. The upstream (nginx again, a fixed patient) and the
load share the other processor. Alone: `python -m bench.gateway`; with the others: `python -m bench gateway`.
"""

import json
import secrets
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from chassis.issuer import TokenIssuer
from chassis.settings import TokenSettings
from hpctl.embedded.process import free_port
from hpctl.embedded.valkey import Valkey

from bench.load import Load, needed, wrk
from bench.measure import Ratio, Wrong, absolute, as_json, compare
from bench.world import SECRET, World, wait_for

PATH = "/api/patients/123e4567-e89b-12d3-a456-426614174000"
PATIENT = json.dumps(
    {"id": PATH[-36:], "name": "John Doe", "address": "12 Main Street", "version": 1, "notes": "x" * 200}
)
NGINX = """
worker_processes 1; daemon off; pid {directory}/{name}.pid; error_log {directory}/{name}.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  {http}
}}
"""
FIXED = "server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{body}'; }} }}"
PROXY = """
  upstream service {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port}; location /actuator/ {{ return 200; }} location /api/ {{
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://service/; }} }}
"""


@contextmanager
def _running(command: list[str], cpu: int, url: str, log: Path, **environ: str) -> Iterator[int]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command],
            env={"PATH": "/usr/sbin:/usr/bin:/bin"} | environ,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(url, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _nginx(directory: Path, name: str, cpu: int, port: int, http: str) -> Iterator[int]:
    file = directory / f"{name}.conf"
    file.write_text(NGINX.format(directory=directory, name=name, http=http))
    url = f"http://127.0.0.1:{port}/actuator/"
    with _running(["nginx", "-c", str(file)], cpu, url, directory / f"{name}.out") as pid:
        yield pid


def measure(directory: Path, valkey: Valkey) -> Iterator[Ratio]:
    """Requests per second, p99 and memory. Raises Wrong when an answer is not the upstream's."""
    upstream, theirs, ours = free_port(), free_port(), free_port()
    environ = {
        "API_GATEWAY_PORT": str(ours),
        "HOST": "127.0.0.1",
        "PATIENT_SERVICE_URL": f"http://127.0.0.1:{upstream}",
        "JWT_SECRET": SECRET,
        "REDIS_HOST": valkey.host,
        "REDIS_PORT": str(valkey.port),
        "REDIS_PASSWORD": valkey.password,
        "RATE_LIMITS": "default=1000000/1000000",
        "LOG_LEVEL": "warning",
    }
    token = TokenIssuer(TokenSettings.model_validate({"jwt_secret": SECRET})).issue("bench@example.com", "ADMIN")
    headers = {"Authorization": f"Bearer {token}"}
    command, ready = [sys.executable, "-m", "api_gateway"], f"http://127.0.0.1:{ours}/actuator/health/readiness"
    with (
        _nginx(directory, "upstream", 1, upstream, FIXED.format(port=upstream, body=PATIENT)),
        _nginx(directory, "proxy", 0, theirs, PROXY.format(port=theirs, upstream=upstream)),
        _running(command, 0, ready, directory / "gateway.log", **environ) as pid,
    ):

        def load(port: int) -> Load:
            url = f"http://127.0.0.1:{port}{PATH}"
            _verify(url, headers)
            return wrk(url, workdir=directory, seconds=3, headers=headers)

        load(ours), load(theirs)
        yield compare(
            "gateway / nginx",
            "requests/s",
            lambda: load(ours).rate,
            lambda: load(theirs).rate,
            better="higher",
            floor=0.5,
            goal=0.75,
        )
        yield compare(
            "gateway p99 / nginx p99",
            "s",
            lambda: load(ours).p99,
            lambda: load(theirs).p99,
            better="lower",
            floor=3,
            goal=1.5,
            rounds=3,
        )
        memory = psutil.Process(pid).memory_info().rss / 2**20
        yield absolute("gateway memory", "MiB", [memory], floor=80, goal=50)


def gateway(world: World) -> Iterator[Ratio]:
    """The case of `python -m bench`."""
    yield from measure(world.directory, world.valkey)


def _verify(url: str, headers: dict[str, str]) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
        if answer.read().decode() != PATIENT:
            raise Wrong(f"{url} answered something else")


def main() -> int:
    """Measure alone, with a Valkey of its own."""
    if missing := needed():
        print(missing)
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        valkey = Valkey(Path(name) / "valkey", password=secrets.token_hex(8))
        valkey.start()
        try:
            ratios = list(measure(Path(name), valkey))
        finally:
            valkey.stop()
    for ratio in ratios:
        print(f"{ratio.name:26} {ratio.ours:12.4g} {ratio.theirs:12.4g} {ratio.ratio:8.2f}  (≥/≤ {ratio.floor:g})")
    print(as_json(ratios))
    return 0 if all(ratio.reached for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
