"""One connection to the API server, the only module that speaks to it: each error is told apart, and logged."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
from kubernetes.aio import client

from healthcare_operator.errors import ApiError, NotLeading, Unreachable
from healthcare_operator.failures import Failures

TIMEOUT_SECONDS = 34  # the API server waits up to 30 s for a webhook, and its answer says for which
LEASES = "/leases"

Expected = frozenset[int]
"""Statuses that a caller asks for, so to say: they are no failure."""


class Connection:
    """Sends requests. Every error that is not expected goes to the log, with the server's text.

    `may_write` is asked before everything but reads and the lease: a process whose lease may have ended writes nothing.
    """

    def __init__(self) -> None:
        self._client = client.ApiClient()
        self._failures = Failures()
        self.may_write: Callable[[], bool] = lambda: True

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        media: str = "application/json",
        *,
        expected: Expected = frozenset(),
        **query: str,
    ) -> Any:
        """What the API server answers, as JSON.

        Raises:
            ApiError: it refused, or did not answer.
            NotLeading: this process may not write now.
        """
        if method != "GET" and LEASES not in path and not self.may_write():
            raise NotLeading
        request: Any = await self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": media},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = await self._answer(request)
        except ApiError as error:
            self._failures.note(method, path, error, expected=error.status in expected or error.ending)
            raise
        self._failures.over(method, path)
        return answer

    async def _answer(self, request: Any) -> Any:
        try:
            answer = await self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)  # type: ignore[misc]
            content = await answer.response.read()
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise Unreachable(error) from None
        if not 200 <= answer.status < 300:
            raise ApiError(answer.status, _explained(content))
        try:
            return json.loads(content or b"{}")
        except ValueError as error:  # a proxy's page, say
            raise Unreachable(error) from None


def _explained(content: bytes) -> dict[str, Any]:
    """A `Status` object, or the plain text with which paths that nobody serves are answered."""
    try:
        status = json.loads(content)
    except ValueError:
        return {"message": content.decode(errors="replace").strip()}
    return status if isinstance(status, dict) else {}
