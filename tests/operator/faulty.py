"""A proxy in front of a real API server that answers what a test tells it to, where it tells it to."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.cluster.controlplane import ControlPlane

HOP = {"host", "content-length", "transfer-encoding", "connection"}
CUT = 0
"""As a status: the connection is cut without an answer."""


class Faulty:
    """`break_at` lets requests fail that match; `url` is the way in, without a token."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._cluster = cluster
        self.url = ""
        self._broken: tuple[str, re.Pattern[str], int, str] | None = None
        self._delay = 0.0
        self.hits = 0
        self.hit = asyncio.Event()

    def break_at(self, method: str, path: str, status: int, said: str) -> None:
        """From now on requests with this method whose path matches are answered so."""
        self._broken, self.hits = (method, re.compile(path), status, said), 0
        self.hit.clear()

    def slow_down(self, seconds: float) -> None:
        """From now on every request waits so long before the API server gets it."""
        self._delay = seconds

    def mend(self) -> None:
        """From now on all is answered by the API server itself, at once."""
        self._broken, self._delay = None, 0.0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Faulty"]:
        """Listens on a free port of this machine."""
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        [port] = [address[1] for address in runner.addresses]
        self.url = f"http://127.0.0.1:{port}"
        trust = ssl.create_default_context(cafile=str(self._cluster.ca))
        bearer = {"Authorization": f"Bearer {self._cluster.token}"}
        connector = aiohttp.TCPConnector(ssl=trust)
        try:
            async with aiohttp.ClientSession(headers=bearer, connector=connector) as self._session:
                yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._broken is not None:
            method, path, status, said = self._broken
            if method == request.method and path.search(request.path):
                self.hits += 1
                self.hit.set()
                return self._fail(request, status, said)
        await asyncio.sleep(self._delay)
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        url = f"{self._cluster.server}{request.path_qs}"
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            kept = CIMultiDict({"Content-Type": answer.headers.get("Content-Type", "text/plain")})
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    @staticmethod
    def _fail(request: web.Request, status: int, said: str) -> web.StreamResponse:
        if status == CUT:
            assert request.transport
            request.transport.abort()
            return web.Response()
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": said, "code": status}
        return web.Response(status=status, text=json.dumps(told), content_type="application/json")
