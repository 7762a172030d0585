"""The issuer's public keys, fetched from where it publishes them (RFC 7517) and kept fresh."""

import asyncio
import json
import time
from typing import Any

from chassis import logs
from chassis.actuator import Health
from chassis.auth import TokenVerifier
from chassis.outbound import DIRECT
from chassis.signatures import public_keys

log = logs.logger(__name__)

FRESH_SECONDS = 300.0
RETRY_SECONDS = 2.0
AT_ONCE = 3
"""Questions on behalf of requests: so many at once, then one in RETRY_SECONDS, for anybody may name any key."""
PATIENCE_SECONDS = 2.0
MOST_WAITING = 1000
TIMEOUT_SECONDS = 3.0
LARGEST = 65_536


class Jwks:
    """A part that gives a verifier its keys; those it has stay good while the issuer is away.

    It asks every five minutes, and at once when a token names a key that is not known; its request waits for the
    answer. One question is under way at a time, and whoever comes meanwhile shares it.
    """

    name = "jwks"
    role = None
    critical = False

    def __init__(self, url: str, verifier: TokenVerifier) -> None:
        self._url = url
        self._verifier = verifier
        self._task: asyncio.Task[None] | None = None
        self._question: asyncio.Task[None] | None = None
        self._waiting = 0
        self._spare, self._counted = float(AT_ONCE), time.monotonic()
        self._known = 0
        self._answered = False

    async def start(self) -> None:
        """Fetches in the background."""
        self._verifier.when_missed(self.find)
        self._task = asyncio.create_task(self._run(), name="jwks")

    async def stop(self) -> None:
        """Ends; whoever waits for a key is told that it is not there."""
        tasks = [task for task in (self._task, self._question) if task is not None]
        self._task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def health(self) -> Health:
        """Up once keys are known."""
        return Health(up=self._known > 0, details={"keys": self._known})

    async def find(self, kid: str) -> bool:
        """Whether the verifier has that key once the issuer has been asked, which takes two seconds at most.

        It says no at once while too many were asked for, or too many wait.
        """
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._find(kid)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    async def _find(self, kid: str) -> bool:
        if self._question is not None:
            await asyncio.wait({self._question})
            if self._verifier.knows(kid):
                return True  # else that answer may have been older than the key
        if self._question is not None or self._may_ask():
            await asyncio.wait({self._asked()})
        return self._verifier.knows(kid)

    def _may_ask(self) -> bool:
        now = time.monotonic()
        self._spare = min(self._spare + (now - self._counted) / RETRY_SECONDS, AT_ONCE)
        self._counted = now
        if self._spare < 1 or self._task is None:  # whoever still waits when it has ended asks nothing more
            return False
        self._spare -= 1
        return True

    def _asked(self) -> asyncio.Task[None]:
        """The question that is under way; it is asked now if there is none."""
        if self._question is None:
            self._question = asyncio.create_task(self._ask(), name="question for keys")
        return self._question

    async def _run(self) -> None:
        while True:
            await asyncio.wait({self._asked()})
            await asyncio.sleep(FRESH_SECONDS if self._answered else RETRY_SECONDS)

    async def _ask(self) -> None:
        try:
            keys = public_keys(await asyncio.to_thread(self._fetch))
        except Exception as error:  # whatever a stranger's set is made of: the next one may be sound
            self._answered = False
            log.warning("the issuer's keys cannot be fetched", error=type(error).__name__)
        else:
            self._verifier.trust(keys)
            self._known = len(keys)
            self._answered = len(keys) > 0
        finally:
            self._question = None

    def _fetch(self) -> Any:
        with DIRECT.open(self._url, timeout=TIMEOUT_SECONDS) as answer:
            return json.loads(answer.read(LARGEST))
