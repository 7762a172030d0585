"""Who may guess, who goes first, and what is remembered of it."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from auth_service.fairqueue import LONGEST, FairQueue
from auth_service.throttle import (
    ALLOWED_FAILURES,
    FIRST_PAUSE_SECONDS,
    FORGIVEN_FAILURES,
    LONGEST_PAUSE_SECONDS,
    RECENT_SECONDS,
    REMEMBERED,
    WINDOW_SECONDS,
    Caller,
    Throttle,
)
from chassis.errors import Busy, TooManyRequests
from chassis.testing import eventually

pytestmark = pytest.mark.contract("Z04")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def fail(throttle: Throttle, times: int, account: str = "victim@example.com", address: str = "192.0.2.{}") -> None:
    for number in range(times):
        throttle.tell(Caller.of(account, address.format(number % 250)), good=False)


def pause(throttle: Throttle, caller: Caller) -> int:
    """Seconds that the caller is told to wait; 0: none."""
    with suppress_pause() as found:
        throttle.check(caller)
    return found[0] if found else 0


@contextmanager
def suppress_pause() -> Iterator[list[int]]:
    found: list[int] = []
    try:
        yield found
    except TooManyRequests as error:
        found.append(int(error.headers["Retry-After"]))


async def ticks() -> None:
    """What is ready runs, and what becomes ready by it."""
    for _ in range(5):
        await asyncio.sleep(0)


STRANGER, OWNER = Caller.of("victim@example.com", "198.51.100.1"), Caller.of("victim@example.com", "203.0.113.7")


def test_the_hundredth_failure_within_an_hour_pauses_the_account_and_the_pause_grows(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, ALLOWED_FAILURES - 1)
    assert pause(throttle, STRANGER) == 0
    pauses = []
    for _ in range(12):
        fail(throttle, 1)
        pauses.append(pause(throttle, STRANGER))
        clock.now += pauses[-1]
        assert pause(throttle, STRANGER) == 0  # one more guess
    assert pauses[:4] == [FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert max(pauses) == LONGEST_PAUSE_SECONDS
    assert pause(throttle, Caller.of("somebody-else@example.com", "198.51.100.1")) == 0


def test_failures_are_forgotten_after_an_hour(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, ALLOWED_FAILURES - 1)
    clock.now += 2 * WINDOW_SECONDS
    fail(throttle, ALLOWED_FAILURES - 1)
    assert pause(throttle, STRANGER) == 0


def test_failures_on_both_sides_of_an_hours_end_count_together(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 1)
    clock.now += WINDOW_SECONDS - 10
    fail(throttle, ALLOWED_FAILURES - 2)
    clock.now += 20
    fail(throttle, 2)
    assert pause(throttle, STRANGER) > 0


def test_an_address_that_logged_in_before_still_gets_in(throttle: Throttle, clock: Clock) -> None:
    throttle.tell(OWNER, good=True)
    fail(throttle, 3 * ALLOWED_FAILURES)
    assert pause(throttle, STRANGER) > 0
    assert pause(throttle, OWNER) == 0
    assert throttle.rank(OWNER) < throttle.rank(STRANGER)
    clock.now += RECENT_SECONDS + 1
    fail(throttle, 2 * ALLOWED_FAILURES)
    assert pause(throttle, OWNER) > 0


def test_a_known_address_that_guesses_becomes_a_strange_one(throttle: Throttle) -> None:
    throttle.tell(OWNER, good=True)
    for _ in range(FORGIVEN_FAILURES + ALLOWED_FAILURES):
        throttle.tell(OWNER, good=False)
    assert pause(throttle, OWNER) > 0


def test_an_ipv6_client_is_one_with_its_whole_64_and_spellings_are_one_account(throttle: Throttle) -> None:
    assert Caller.of("a", "2001:db8::1") == Caller.of("a", "2001:db8::ffff:2")
    assert Caller.of("a", "::ffff:192.0.2.1") == Caller.of("a", "192.0.2.1")
    assert Caller.of("a", "2001:db8:0:1::1") != Caller.of("a", "2001:db8::1")


def test_a_million_accounts_and_addresses_take_bounded_memory_and_leave_no_address_readable(throttle: Throttle) -> None:
    for number in range(4 * REMEMBERED):
        caller = Caller.of(f"nobody-{number}@example.com", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        throttle.check(caller)
        throttle.began(caller)
        throttle.tell(caller, good=number % 2 == 0)
    for kept in (throttle._records, throttle._failures, throttle._known):
        assert len(kept) <= 2 * REMEMBERED
    assert b"nobody" not in caller.account
    assert sys.getsizeof(caller.account) < 100


class Queue:
    """A queue whose turns end when the test says so; `order` is who had them."""

    def __init__(self, throttle: Throttle, threads: int = 2, cost: float = 0.25) -> None:
        self.queue = FairQueue(threads, lambda: cost, throttle)
        self.throttle = throttle
        self.order: list[str] = []
        self.open: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, name: str, account: str, address: str, *, good: bool = False) -> None:
        self.open[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._go(name, Caller.of(account, address), good))

    async def _go(self, name: str, caller: Caller, good: bool) -> None:
        async with self.queue.turn(caller):
            self.order.append(name)
            await self.open[name].wait()
            self.throttle.tell(caller, good=good)

    def refused(self) -> set[str]:
        done = {name for name, task in self.tasks.items() if task.done()}
        return {name for name in done if isinstance(self.tasks[name].exception(), Busy)}

    async def end(self, name: str) -> None:
        self.open[name].set()
        await self.tasks[name]
        await ticks()

    async def drain(self) -> None:
        for gate in self.open.values():
            gate.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


def one_account(number: int) -> tuple[str, str]:
    return "victim@example.com", f"192.0.2.{number % 80}"


def many_accounts(number: int) -> tuple[str, str]:
    return f"nobody-{number}@example.com", f"192.0.2.{number % 80}"


@pytest.mark.parametrize("attack", [one_account, many_accounts])
async def test_a_flood_waits_behind_whoever_comes_for_the_first_time(
    throttle: Throttle, attack: Callable[[int], tuple[str, str]]
) -> None:
    queue = Queue(throttle)
    for number in range(400):
        queue.ask(f"attack-{number}", *attack(number))
        if number == 70:
            queue.ask("amid", "somebody@example.com", "203.0.113.2", good=True)
    began = asyncio.get_running_loop().time()
    # 2 threads, 2 seconds, 4 hashes a second: 16 can be done besides the two that are, the others are refused at once.
    await eventually(lambda: len(queue.refused()) >= 400 - 18)
    assert asyncio.get_running_loop().time() - began < 1
    queue.ask("honest", "owner@example.com", "203.0.113.1", good=True)
    await ticks()
    assert not {"honest", "amid"} & queue.refused()
    await queue.end(queue.order[0])
    await queue.end(queue.order[1])
    assert set(queue.order[2:4]) == {"honest", "amid"}
    await queue.drain()


async def test_a_refusal_says_when_to_come_back(throttle: Throttle) -> None:
    queue = Queue(throttle, threads=1, cost=1.0)
    for number in range(3):
        queue.ask(str(number), f"{number}@example.com", f"192.0.2.{number}")
    await eventually(queue.refused)
    (refused,) = queue.refused()
    error = queue.tasks[refused].exception()
    assert isinstance(error, Busy)
    assert error.status == 503
    assert int(error.headers["Retry-After"]) == 3  # two before it, a second each
    await queue.drain()


async def test_who_failed_lately_goes_one_at_a_time_and_last(throttle: Throttle) -> None:
    fail(throttle, 20)
    queue = Queue(throttle)
    for number in range(3):
        queue.ask(f"guess-{number}", "victim@example.com", f"198.51.100.{number}")
    await ticks()
    assert len(queue.order) == 1  # a thread is free
    for number in range(2):
        queue.ask(f"honest-{number}", f"owner-{number}@example.com", f"203.0.113.{number}", good=True)
    await ticks()
    assert queue.order[1].startswith("honest")
    await queue.end(queue.order[1])
    assert queue.order[2].startswith("honest")
    await queue.drain()


async def test_nobody_waits_longer_than_two_seconds_even_when_the_estimate_was_wrong(throttle: Throttle) -> None:
    queue = Queue(throttle, threads=1, cost=0.001)
    queue.ask("slow", "a@example.com", "192.0.2.1")
    await ticks()
    queue.ask("waiting", "b@example.com", "192.0.2.2")
    await eventually(lambda: "waiting" in queue.refused(), within=10)
    await queue.drain()


async def test_a_client_that_hangs_up_gives_its_turn_back(throttle: Throttle) -> None:
    queue = Queue(throttle, threads=1)
    queue.ask("running", "a@example.com", "192.0.2.1")
    queue.ask("waiting", "b@example.com", "192.0.2.2")
    await ticks()
    for name in ("waiting", "running"):
        queue.tasks[name].cancel()
        await asyncio.gather(queue.tasks[name], return_exceptions=True)
    queue.ask("next", "c@example.com", "192.0.2.3")
    await ticks()
    assert queue.order == ["running", "next"]
    await queue.drain()


async def test_the_queue_is_bounded_however_cheap_a_hash_is(throttle: Throttle) -> None:
    queue = Queue(throttle, cost=1e-6)
    for number in range(2 * LONGEST):
        queue.ask(str(number), f"{number}@example.com", f"10.0.{number // 256}.{number % 256}")
    await ticks()
    assert len(queue.queue) <= LONGEST
    await queue.drain()
