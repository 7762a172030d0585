"""The issuer's key is replaced without notice, as after a leak: nobody who logs in then is refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest
from api_gateway.main import create_app as create_gateway
from api_gateway.settings import Settings as GatewaySettings
from auth_service.main import create_app as create_auth
from auth_service.settings import Settings as AuthSettings
from chassis.testing import eventually, serve
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from patient_service.main import create_app as create_patients
from patient_service.settings import Settings as PatientSettings

DEMO = {"email": "testuser@test.com", "password": "password123"}


class Front:
    """An address that stays, as a Kubernetes Service does, before whichever process is behind it."""

    def __init__(self) -> None:
        self.behind = 0
        self._pipes: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Ends the connections, as a process does that goes."""
        for pipe in self._pipes:
            pipe.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self.behind)
        except ConnectionError:
            writer.close()
            return
        for source, sink in ((reader, outer), (inner, writer)):
            pipe = asyncio.create_task(_pipe(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
    except ConnectionError:
        pass
    finally:
        sink.close()


def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, secret).decode()


@contextlib.asynccontextmanager
async def auth(environ: dict[str, str], front: Front) -> AsyncIterator[None]:
    """auth-service with a key of its own, behind the front."""
    more = {"SQL_INIT_MODE": "always", "BCRYPT_COST": "4", "JWT_PRIVATE_KEY": private_key()}
    async with serve(create_auth(AuthSettings.from_environ(environ | more))) as url:
        front.behind = int(url.rpartition(":")[2])
        yield
        front.cut()


@pytest.fixture
def of_patients(environ: dict[str, str], postgres) -> dict[str, str]:
    """The other service's environment: its own database on the same servers."""
    postgres.create_database("rotation_patients", "secret")
    url = f"postgresql://{postgres.host}:{postgres.port}/rotation_patients"
    return environ | {"DATABASE_URL": url, "DATABASE_USER": "rotation_patients", "DATABASE_PASSWORD": "secret"}


@pytest.mark.contract("D10")
async def test_after_a_rotation_the_first_request_is_answered(environ, of_patients, monkeypatch) -> None:
    monkeypatch.setattr("chassis.jwks.PATIENCE_SECONDS", 60.0)  # this machine may be slow
    front = Front()
    async with contextlib.AsyncExitStack() as stack:
        keys = await stack.enter_async_context(front.listening())
        published = {"JWT_JWKS_URL": f"{keys}/.well-known/jwks.json"}
        patients = create_patients(PatientSettings.from_environ(of_patients | published))
        url = await stack.enter_async_context(serve(patients))
        upstreams = {"AUTH_SERVICE_URL": keys, "PATIENT_SERVICE_URL": url}
        gateway = create_gateway(GatewaySettings.from_environ(environ | published | upstreams))
        client = httpx.AsyncClient(base_url=await stack.enter_async_context(serve(gateway)), timeout=60)
        await stack.enter_async_context(client)

        async def ask(token: str) -> int:
            answer = await client.get("/api/patients", headers={"Authorization": f"Bearer {token}"})
            return answer.status_code

        tokens = []
        for _ in range(3):
            async with auth(environ, front):
                tokens.append((await eventually(lambda: logged_in(client), within=60)).json()["token"])
                assert await asyncio.gather(*(ask(tokens[-1]) for _ in range(10))) == [200] * 10
        assert [await ask(token) for token in tokens] == [401, 401, 200]


async def logged_in(client: httpx.AsyncClient) -> httpx.Response | None:
    """The answer to a login, once the gateway has noticed that auth-service is back."""
    answer = await client.post("/auth/login", json=DEMO)
    return answer if answer.status_code == 200 else None
