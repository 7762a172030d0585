"""The issuer's public keys, fetched from where it publishes them (RFC 7517) and kept fresh."""

import asyncio
import contextlib
import json
import urllib.request
from typing import Any

from chassis import telemetry
from chassis.actuator import Health
from chassis.auth import TokenVerifier
from chassis.signatures import public_keys

log = telemetry.logger(__name__)

FRESH_SECONDS = 300.0
RETRY_SECONDS = 2.0
"""No more than one question in this time, whatever keys are named by tokens that anybody may send."""
TIMEOUT_SECONDS = 3.0
LARGEST = 65_536


class Jwks:
    """A part that gives a verifier its keys; those it has stay good while the issuer is away.

    It asks every five minutes, and soon after a token has named a key that is not known.
    """

    name = "jwks"
    role = None
    critical = False

    def __init__(self, url: str, verifier: TokenVerifier) -> None:
        self._url = url
        self._verifier = verifier
        self._task: asyncio.Task[None] | None = None
        self._known = 0
        self._missed = asyncio.Event()

    async def start(self) -> None:
        """Fetches in the background."""
        self._verifier.when_missed(self._missed.set)
        self._task = asyncio.create_task(self._run(), name="jwks")

    async def stop(self) -> None:
        """Ends."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def health(self) -> Health:
        """Up once keys are known."""
        return Health(up=self._known > 0, details={"keys": self._known})

    async def _run(self) -> None:
        while True:
            self._missed.clear()
            try:
                keys = public_keys(await asyncio.to_thread(self._fetch))
            except Exception as error:  # whatever a stranger's set is made of: the next one may be sound
                log.warning("the issuer's keys cannot be fetched", error=type(error).__name__)
            else:
                self._verifier.trust(keys)
                self._known = len(keys)
            await asyncio.sleep(RETRY_SECONDS)
            if self._known:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._missed.wait(), FRESH_SECONDS)

    def _fetch(self) -> Any:
        with urllib.request.urlopen(self._url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - configured by us
            return json.loads(answer.read(LARGEST))
