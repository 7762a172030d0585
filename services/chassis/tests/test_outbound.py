"""HTTP_PROXY is for what lies outside: each client asks its server itself, though the environment names a proxy."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import grpc
import pytest
from chassis import outbound, rpc
from chassis.recorder import Recorder
from chassis.settings import TracingSettings
from chassis.testing import eventually


class _Answers(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self._answer(b'{"keys": []}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def _answer(self, content: bytes) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server beside us, and a proxy in the environment at which nobody listens."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    _Answers.asked.clear()
    serving = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


def test_keys_are_fetched_from_the_issuer_itself(server: str) -> None:
    """In a process of its own: Python reads the environment's proxies when the opener is made."""
    asking = f"from chassis.jwks import Jwks; print(Jwks('{server}/keys', None)._fetch())"
    done = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout == "{'keys': []}\n", done.stderr


async def test_spans_go_to_the_collector_itself(server: str) -> None:
    recorder = Recorder(TracingSettings(otel_exporter_otlp_endpoint=server), "demo")
    exporter = recorder._processor._batch_processor._exporter
    assert (await asyncio.to_thread(exporter.export, [])).name == "SUCCESS"
    assert _Answers.asked == ["/v1/traces"]
    await asyncio.to_thread(recorder._processor.shutdown)


@pytest.fixture
async def door() -> AsyncIterator[str]:
    """A gRPC server without a service."""
    serving = grpc.aio.server()
    port = serving.add_insecure_port("127.0.0.1:0")
    await serving.start()
    yield f"127.0.0.1:{port}"
    await serving.stop(None)


async def test_calls_go_to_the_server_itself(server: str, door: str) -> None:
    async with rpc.channel(door) as channel:
        channel.get_state(try_to_connect=True)
        await eventually(lambda: channel.get_state() is grpc.ChannelConnectivity.READY, within=10)


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://collector:4318", True),
        ("http://otel.monitoring.svc:4318", True),
        ("http://otel.monitoring.svc.cluster.local.:4318", True),
        ("http://minio.data.svc.k8s.hospital.example", True),
        ("http://10.1.2.3:4318", True),
        ("http://[fd00::1]:4318", True),
        ("http://localhost:4566", True),
        ("https://api.honeycomb.io", False),
        ("https://s3.eu-central-1.amazonaws.com", False),
        ("https://8.8.8.8", False),
    ],
)
def test_what_lies_inside(url: str, inside: bool) -> None:
    assert outbound.inside(url) is inside
