"""A steady stream of requests against the gateway, and what became of each."""

import threading
import time
from collections import Counter
from types import TracebackType

import httpx2 as httpx

from tests.cluster.pods.platform import Platform

THREADS = 10
READS = ("/api/patients?size=5", "/api/appointments?size=5", "/api/analytics/summary")


class Load:
    """`rate` requests a second while the block runs; every answer that is not 200 is a failure, by path and reason."""

    def __init__(self, platform: Platform, rate: int = 100) -> None:
        self.pace = THREADS / rate
        self.answered = 0
        self.failed: Counter[str] = Counter()
        self._clients = [platform.client() for _ in range(THREADS)]
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(client,)) for client in self._clients]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        for client in self._clients:
            client.close()

    def _run(self, client: httpx.Client) -> None:
        number, due = 0, time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.pace, time.monotonic())  # what a slow answer has cost is not made up for by a burst
            number += 1
            self._ask(client, READS[number % len(READS)])

    def _ask(self, client: httpx.Client, path: str) -> None:
        try:
            status = client.get(path).status_code
            reason = "" if status == 200 else str(status)
        except httpx.HTTPError as error:
            reason = type(error).__name__
        if reason:
            self.failed[f"{path} {reason} at {time.strftime('%X')}"] += 1
        else:
            self.answered += 1
