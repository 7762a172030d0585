"""Tokens whose key the gateway does not know yet: their requests wait for it, and nobody else does."""

import asyncio
import json
import socket
import struct
from asyncio import StreamWriter
from collections.abc import AsyncIterator

import pytest
from api_gateway.console.testing import LIMITS
from api_gateway.metrics import CONNECTIONS
from api_gateway.testing import Edge, Seen, Service, plain, running
from chassis.issuer import TokenIssuer
from chassis.settings import TokenSettings
from chassis.testing import eventually
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def issuer() -> TokenIssuer:
    """One with a key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return TokenIssuer(TokenSettings(), key.private_bytes(serialization.Encoding.PEM, kind, secret).decode())


class Publisher(Service):
    """Publishes the keys of its signers, when it may."""

    def __init__(self, *signers: TokenIssuer) -> None:
        super().__init__(answer=self.publish)
        self.signers = list(signers)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def publish(self, seen: Seen, writer: StreamWriter) -> None:
        """Answers one request."""
        keys = {"keys": [key for signer in self.signers for key in signer.jwks["keys"]]}
        await self.may_answer.wait()
        await plain(json.dumps(keys).encode())(seen, writer)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    publisher = Publisher(issuer())
    await publisher.start()
    yield publisher
    publisher.may_answer.set()
    await publisher.stop()


@pytest.fixture
async def keyed(service: Service, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Edge]:
    """A gateway that knows the publisher's keys, and is patient with this machine."""
    monkeypatch.setattr("chassis.jwks.PATIENCE_SECONDS", 60.0)
    async with running(service, JWT_JWKS_URL=f"{publisher.url}/jwks", **LIMITS) as edge:

        async def known() -> bool:
            health = await edge.ask("GET", "/actuator/health")
            return health.json["components"]["jwks"]["status"] == "UP"

        await eventually(known)
        yield edge


def bearer(signer: TokenIssuer) -> str:
    return f"Authorization: Bearer {signer.issue('a@example.com', 'ADMIN')}"


@pytest.mark.contract("D10")
async def test_a_new_key_refuses_nobody_and_holds_nobody_else_up(keyed: Edge, publisher: Publisher, service: Service):
    (old,), new, stranger = publisher.signers, issuer(), issuer()
    publisher.signers.append(new)
    publisher.may_answer.clear()
    asked = len(publisher.seen)
    body = b'{"name":"x"}' * 1000
    waiting = [
        asyncio.create_task(keyed.ask("GET", "/api/patients", bearer(new))),
        asyncio.create_task(keyed.ask("POST", "/api/patients", bearer(new), body=body)),
        asyncio.create_task(keyed.ask("GET", "/api/patients", bearer(stranger))),
    ]
    await eventually(lambda: len(publisher.seen) > asked)
    for _ in range(5):
        assert (await keyed.ask("GET", "/api/patients", bearer(old))).status == 200
    assert len(service.seen) == 5  # nothing has gone to the service before its token was known to be good
    publisher.may_answer.set()
    assert [reply.status for reply in await asyncio.gather(*waiting)] == [200, 200, 401]
    assert body in [seen.body for seen in service.seen]
    assert len(publisher.seen) <= asked + 2


@pytest.mark.contract("D10")
async def test_a_client_that_leaves_while_its_key_is_asked_for_leaves_nothing_behind(
    keyed: Edge, publisher: Publisher, service: Service
):
    new = issuer()
    publisher.signers.append(new)
    publisher.may_answer.clear()
    asked, open_before = len(publisher.seen), CONNECTIONS["open"]
    async with keyed.connect() as line:
        line.send(f"GET /api/patients HTTP/1.1\r\nHost: g\r\n{bearer(new)}\r\n\r\n".encode())
        await eventually(lambda: len(publisher.seen) > asked)
        # By a reset: a client that only closes may be one that has closed its half, which is owed an answer.
        line.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await eventually(lambda: CONNECTIONS["open"] == open_before)
    publisher.may_answer.set()
    assert (await keyed.ask("GET", "/api/patients", bearer(new))).status == 200
    assert len(service.seen) == 1


@pytest.mark.contract("D10")
async def test_the_console_waits_for_a_new_key_too(keyed: Edge, publisher: Publisher):
    new = issuer()
    publisher.signers.append(new)
    token = new.issue("a@example.com", "ADMIN")
    page = await keyed.ask("GET", "/console/services/nothing", f"Cookie: console_session={token}")
    assert page.status == 404  # and not the way to the login
