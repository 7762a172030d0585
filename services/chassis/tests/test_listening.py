"""HOST: both families where the machine has both, IPv4 alone where it has one, and addresses in brackets."""

import errno
import socket
from typing import Any

import pytest
from chassis import listening, proxies


@pytest.mark.parametrize(
    ("host", "reached", "seen"),
    [
        ("::", "127.0.0.1", "127.0.0.1"),
        ("::", "::1", "::1"),
        ("[::]", "127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1", "::1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_door_answers_where_host_says(host: str, reached: str, seen: str) -> None:
    with listening.bound(host, 0) as door:
        door.listen()
        with socket.create_connection((reached, door.getsockname()[1]), timeout=5):
            accepted, peer = door.accept()
            accepted.close()
    assert proxies.unmapped(peer[0]) == seen


def test_a_machine_without_ipv6_listens_on_ipv4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = socket.socket

    def ipv4_alone(family: int, *rest: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, *rest)

    monkeypatch.setattr(socket, "socket", ipv4_alone)
    with listening.bound("::", 0) as door:
        assert door.getsockname()[0] == "0.0.0.0"
    assert "this machine has no IPv6" in "".join(capsys.readouterr())


def test_an_address_that_is_taken_is_an_error() -> None:
    with listening.bound("::", 0) as door:
        door.listen()
        with pytest.raises(OSError, match="in use"):
            listening.bound("::", door.getsockname()[1])
