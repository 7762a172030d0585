"""The billing account of a new patient: by gRPC, and by event when that fails. It neither delays nor fails the 201."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from chassis import logs, rpc
from chassis.actuator import Health
from chassis.cache import Cache
from chassis.classification import Verdict, classify
from chassis.db import Database
from chassis.errors import PlatformError
from chassis.recovery import delay, recovery
from chassis.resilience import Breaker, Bulkhead, Retry
from healthcare_contracts.billing_service_pb2 import CreateAccountRequest
from healthcare_contracts.billing_service_pb2_grpc import BillingServiceStub

from patient_service import accounts
from patient_service.settings import Settings

log = logs.logger(__name__)

CALLS_AT_ONCE = 32
SWEPT_AT_ONCE = 200
SETTLE_SECONDS = 0.02


class Provisioning:
    """A part: calls billing after a patient's commit, and sweeps up what stays PENDING."""

    name = "billing"
    role = None
    critical = False

    def __init__(self, settings: Settings, database: Database, cache: Cache) -> None:
        self._settings = settings
        self._database = database
        self._cache = cache
        self._breaker = Breaker("billing")
        self._bulkhead = Bulkhead("billing", CALLS_AT_ONCE)
        self._retry = Retry("billing")
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened: list[UUID] = []
        self._refused: list[Any] = []
        self._settling: asyncio.Task[None] | None = None
        self._channel: Any = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens the channel, which connects when it is used."""
        self._channel = rpc.channel(self._settings.billing_target)
        self._stub = BillingServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        if {"relay"} & self._settings.service_roles:
            self._sweeper = asyncio.create_task(self._sweep(), name="billing sweeper")

    async def stop(self) -> None:
        """What is under way ends; the sweeper of the next process finds what did not."""
        if self._sweeper:
            self._sweeper.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3)
        for task in (*self._tasks, *([self._sweeper] if self._sweeper else ())):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()

    async def health(self) -> Health:
        """What the breaker says."""
        return Health(up=self._breaker.state != "open", details={"breaker": str(self._breaker.state)})

    def begin(self, row: Any) -> None:
        """Starts to provision a patient that was just committed; returns at once."""
        if self._breaker.rejecting:
            self._refused.append(row)
            self._settle()
            return
        task = asyncio.create_task(self._provision(row))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _provision(self, row: Any) -> None:
        try:
            async with self._bulkhead:
                await self._retry(lambda: self._call(row))
        except PlatformError:
            self._refused.append(row)
        else:
            self._opened.append(row["id"])
        self._settle()

    async def _call(self, row: Any) -> None:
        request = CreateAccountRequest(patientId=str(row["id"]), email=row["email"], name=row["name"])
        async with self._breaker:
            await rpc.call(
                self._stub.CreateAccount, request, what="billing", within=self._settings.billing_timeout_seconds
            )

    def _settle(self) -> None:
        """What comes back within a moment is written in one transaction: creates in a burst must not pay twice."""
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle_soon(), name="billing answers")
            self._tasks.add(self._settling)
            self._settling.add_done_callback(self._tasks.discard)

    async def _settle_soon(self) -> None:
        failures = 0
        while self._opened or self._refused:
            await (recovery.sleep(delay(failures)) if failures else asyncio.sleep(SETTLE_SECONDS))
            opened, self._opened = self._opened, []
            refused, self._refused = self._refused, []
            try:
                await self._settle_now(opened, refused)
                failures = 0
                recovery.succeeded(self)
            except Exception as error:
                failures += 1
                self._failed("billing's answers are kept", error)
                if classify(error) is Verdict.WORLD:  # else the sweeper finds them, and asks again
                    self._opened, self._refused = opened + self._opened, refused + self._refused

    async def _settle_now(self, opened: list[UUID], refused: list[Any]) -> None:
        async with self._database.transaction(tolerant=True) as tx:
            if opened:
                await accounts.activate(tx, self._cache, opened)
            if refused:
                log.warning("billing cannot be called, asking by event", count=len(refused))
                await accounts.request_accounts(tx, refused)

    async def _sweep(self) -> None:
        every, failures = self._settings.billing_sweep_seconds, 0
        while True:
            await (recovery.sleep(delay(failures)) if failures else asyncio.sleep(every))
            try:
                async with self._database.transaction() as tx:
                    before = datetime.now(UTC) - timedelta(seconds=every)
                    asked = await accounts.request_overdue_accounts(tx, before, SWEPT_AT_ONCE)
                if asked:
                    log.info("asked again for billing accounts", count=asked)
                failures = 0
            except Exception as error:  # whatever it is: nobody would notice a sweeper that had ended
                failures += 1
                self._failed("the sweep will be tried again", error)

    def _failed(self, what: str, error: Exception) -> None:
        recovery.failed(self)
        log.warning(what, error=type(error).__name__, **({"exc_info": error} if classify(error) is Verdict.BUG else {}))
