"""The watch ends when the definition goes, and begins anew when the API server lists it again, not a moment before."""

import asyncio
import signal

import kopf
import pytest
from chassis.testing import eventually
from healthcare_operator import watching
from healthcare_operator.crd import GROUP, PLURAL
from healthcare_operator.errors import ApiError
from healthcare_operator.settings import Settings

pytestmark = pytest.mark.contract("Z08")
NAME = f"{PLURAL}.{GROUP}"


class Server:
    """What discovery says, in the order in which a real API server comes to say it."""

    def __init__(self) -> None:
        self.away, self.lists, self.serves, self.asked = False, True, True, 0

    async def listed(self, group: str) -> bool:
        self.asked += 1
        if self.away:
            raise ApiError(503, {})
        return self.lists and group == GROUP

    async def still_served(self, api_version: str, kind: str) -> bool:
        return self.serves


class Watches:
    """kopf's place: it watches until it is told to end, and takes the signals as kopf does."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def run(self, settings: Settings, registry: kopf.OperatorRegistry, end: asyncio.Event) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
        self.begun += 1
        await end.wait()
        self.ended += 1


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Watches:
    found = Watches()
    monkeypatch.setattr(watching, "_kopf", found.run)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)
    return found


async def test_it_begins_anew_once_the_group_is_listed_again(watches: Watches) -> None:
    api, definition, stop = Server(), watching.Definition(), asyncio.Event()
    task = asyncio.create_task(watching.watch(Settings(), kopf.OperatorRegistry(), api, definition, stop))  # type: ignore[arg-type]
    await eventually(lambda: watches.begun == 1)
    for step in ("lists", "serves", "away"):
        api.lists = api.serves = False
        api.away = step == "away"
        definition.seen(NAME, "DELETED")
        await eventually(lambda: watches.ended == watches.begun)
        begun = watches.begun
        if step != "away":
            setattr(api, step, True)  # the other one comes later
        definition.seen(NAME, "ADDED")
        asked = api.asked
        await eventually(lambda asked=asked: api.asked > asked + 3)
        assert watches.begun == begun, step
        api.lists, api.serves, api.away = True, True, False
        await eventually(lambda begun=begun: watches.begun == begun + 1)
    definition.seen(NAME, "ADDED")  # its going was missed, between the look and the watch
    await eventually(lambda: watches.begun == 5)
    for name, event in (("others.example.com", "DELETED"), (NAME, None), (NAME, "MODIFIED")):
        definition.seen(name, event)
    stop.set()
    await asyncio.wait_for(task, 5)
    assert (watches.begun, watches.ended) == (5, 5)


async def test_sigterm_is_heard_while_there_is_no_definition(watches: Watches) -> None:
    api, definition, stop = Server(), watching.Definition(), asyncio.Event()
    task = asyncio.create_task(watching.watch(Settings(), kopf.OperatorRegistry(), api, definition, stop))  # type: ignore[arg-type]
    await eventually(lambda: watches.begun == 1)
    api.lists = False
    definition.seen(NAME, "DELETED")
    await eventually(lambda: watches.ended == 1)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(stop.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
