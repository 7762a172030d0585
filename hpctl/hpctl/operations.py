"""The `/ops` of a running stack's services, asked as an ADMIN."""

import asyncio
from typing import Any, Self

import httpx2

from hpctl.layout import SERVICES, Failure, Layout, Service, UsageError, service_named
from hpctl.report import DEMO_EMAIL, DEMO_PASSWORD

_SECONDS = 70.0


class Operations:
    """The services as one desk. Logs in as HPCTL_EMAIL with HPCTL_PASSWORD; the demo ADMIN when they are not set."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._client = httpx2.AsyncClient(timeout=_SECONDS, trust_env=False)

    async def __aenter__(self) -> Self:
        environ = self._layout.environ
        who = {"email": environ.get("HPCTL_EMAIL") or DEMO_EMAIL}
        who["password"] = environ.get("HPCTL_PASSWORD") or DEMO_PASSWORD
        answer = await self._ask("POST", service_named("auth-service"), "/auth/login", who)
        self._client.headers["Authorization"] = f"Bearer {answer['token']}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def counts(self) -> list[dict[str, Any]]:
        """`[{topic,source,group,count}]` of all services."""
        return [each for found in (await self._by_service()).values() for each in found]

    async def letters(self, topic: str, *, opened: bool) -> list[dict[str, Any]]:
        """The oldest messages of a topic."""
        service = await self._owner(topic)
        path = f"/ops/dead-letters/{topic}"
        letters: list[dict[str, Any]] = (await self._ask("GET", service, path))["content"]
        if not opened:
            return letters
        return [await self._ask("GET", service, f"{path}/{each['partition']}/{each['offset']}") for each in letters]

    async def replay(self, topic: str, count: int) -> int:
        """Give the oldest back; how many there were."""
        body = {"topic": topic, "count": count}
        return int((await self._ask("POST", await self._owner(topic), "/ops/replay", body))["replayed"])

    async def discard(self, topic: str, count: int) -> int:
        """Delete the oldest; how many there were."""
        body = {"topic": topic, "count": count}
        return int((await self._ask("POST", await self._owner(topic), "/ops/discard", body))["discarded"])

    async def _by_service(self) -> dict[Service, list[dict[str, Any]]]:
        asked = [service for service in SERVICES if service.name != "api-gateway"]
        found = await asyncio.gather(*(self._ask("GET", service, "/ops/dead-letters") for service in asked))
        return {service: answer["content"] for service, answer in zip(asked, found, strict=True)}

    async def _owner(self, topic: str) -> Service:
        for service, found in (await self._by_service()).items():
            if any(each["topic"] == topic for each in found):
                return service
        raise UsageError(f"there is no dead-letter topic {topic!r}; `hpctl dlq list` names them")

    async def _ask(self, method: str, service: Service, path: str, body: Any = None) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._layout.port(service.port)}{path}"
        try:
            answer = await self._client.request(method, url, json=body)
        except httpx2.TransportError as error:
            raise Failure(f"{service.name} does not answer ({type(error).__name__}); is the stack up?") from error
        content: dict[str, Any] = answer.json()
        if answer.status_code in {401, 403}:
            raise Failure(f"{service.name} refused: HPCTL_EMAIL and HPCTL_PASSWORD have to be an ADMIN's")
        if answer.status_code != 200:
            raise Failure(f"{service.name} answered {answer.status_code}: {content.get('detail')}")
        return content
