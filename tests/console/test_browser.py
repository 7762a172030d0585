"""The console in a browser: what an administrator sees and does."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2 as httpx
import psutil
import pytest
from aiokafka import AIOKafkaProducer
from chassis.testing import deadline
from hpctl.layout import Layout
from hpctl.state import running
from playwright.sync_api import Page, expect

from tests.conftest import Stack
from tests.console.browsing import CONSOLE, CONTRAST, EMAIL, PAGES, UNNAMED, Watched, log_in

DEAD = "patient.updated.appointments-cg.dlq"


def bury(stack: Stack, patient: str, name: str, reason: str = "a bad day") -> None:
    """Put a good event among the dead letters, as a consumer does that had a bad day."""
    data = {"patientId": patient, "name": name, "email": "back@example.com", "version": 3}
    event = {"eventId": str(uuid.uuid4()), "type": "patient.updated", "occurredAt": "2026-05-20T09:00:00Z"}
    facts = {
        "topic": "patient.updated",
        "partition": "0",
        "offset": "0",
        "group": "appointments-cg",
        "reason": reason,
    }
    headers = [("type", b"patient.updated"), *((f"dead-letter-{key}", text.encode()) for key, text in facts.items())]

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{Layout(stack.offset, {}).port('KAFKA_PORT')}") as to:
            await to.send_and_wait(
                DEAD, json.dumps(event | {"data": data}).encode(), key=patient.encode(), headers=headers
            )

    with ThreadPoolExecutor(1) as aside:  # the browser's own loop runs in this thread
        aside.submit(asyncio.run, send()).result(20)


@pytest.fixture
def no_dead_letters(stack: Stack) -> None:
    """Other tests of the session may have left some to this platform."""
    bury(stack, str(uuid.uuid4()), "Not in vain")  # so that there is a topic
    discarded = stack.hpctl("dlq", "discard", DEAD)
    assert discarded.returncode == 0, discarded.stderr


def process(stack: Stack, name: str) -> psutil.Process:
    processes = json.loads(stack.hpctl("status", "--json").stdout)["processes"]
    return psutil.Process(next(each["pid"] for each in processes if each["name"] == name))


def test_in_with_the_right_password_only_and_out_again(visitor: Page, stack: Stack):
    visitor.goto(CONSOLE)
    expect(visitor).to_have_url(re.compile("/console/login$"))
    log_in(visitor, EMAIL, "not this one")
    expect(visitor.get_by_role("alert")).to_have_text("The email or the password is wrong.")
    log_in(visitor)
    expect(visitor.get_by_role("heading", name="All 6 services are up")).to_be_visible(timeout=15_000)
    cookie = next(each for each in visitor.context.cookies() if each["name"] == "console_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", CONSOLE)
    assert "console_session" not in visitor.evaluate("document.cookie")
    visitor.goto(f"{CONSOLE}/audit")
    visitor.get_by_role("button", name="Log out").click()
    expect(visitor).to_have_url(re.compile("/console/login$"))
    visitor.go_back()  # nothing was kept, so the page is asked for anew, without a cookie
    expect(visitor).to_have_url(re.compile("/console/login[?]next=/console/audit$"))
    expect(visitor.get_by_role("table")).to_have_count(0)
    visitor.goto(CONSOLE)
    expect(visitor).to_have_url(re.compile("/console/login$"))


def test_every_page_is_named_legible_and_quiet(contexts, state):
    for scheme in ("light", "dark"):
        with Watched(contexts(storage_state=state, color_scheme=scheme).new_page()) as page:
            grounds = set()
            for address in (*PAGES, f"{CONSOLE}/login"):
                page.goto(address)
                assert page.evaluate(CONTRAST) == [], (scheme, address)
                assert page.evaluate(UNNAMED) == []
                assert page.locator("h1").count() == 1
                grounds.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
            assert grounds == {"rgb(244, 246, 248)" if scheme == "light" else "rgb(14, 20, 27)"}


def test_the_policy_stops_a_script_that_does_not_belong_here(contexts, state):
    page = contexts(storage_state=state).new_page()
    page.goto(CONSOLE)
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hurt = 1'}))"
        )
    assert page.evaluate("window.hurt") is None


def test_by_keyboard_alone(admin: Page):
    admin.goto(CONSOLE)
    seen = []
    for _ in range(7):
        admin.keyboard.press("Tab")
        focused = admin.locator(":focus")
        seen.append(" ".join(focused.inner_text().split()))
        assert focused.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    assert seen == ["Skip to content", "Healthcare console", "Overview", "Dead letters", "Audit", "Live", "Log out"]


def test_without_scripts_it_can_be_read(contexts, state):
    page = contexts(storage_state=state, java_script_enabled=False).new_page()
    page.goto(CONSOLE)
    assert page.locator("table.services tbody tr").count() == 6
    assert page.locator("svg.chart").count() > 10
    assert not page.locator("#live").is_visible()
    page.get_by_role("link", name="patient-service").click()
    assert page.locator("h1").inner_text() == "patient-service"


def test_it_brings_itself_up_to_date(admin: Page, stack: Stack):
    admin.goto(f"{CONSOLE}/audit")
    admin.evaluate("window.sameDocument = true")
    failures = admin.get_by_text("auth.login.failed", exact=True)
    before = failures.count()
    body = {"email": EMAIL, "password": "not this one either"}
    assert httpx.post(f"{stack.gateway}/auth/login", json=body, timeout=10).status_code == 401
    expect(failures).to_have_count(before + 1, timeout=15_000)
    assert admin.evaluate("window.sameDocument") is True
    assert EMAIL not in admin.content()


@pytest.mark.contract("E11")
@pytest.mark.usefixtures("no_dead_letters")
def test_a_dead_letter_is_inspected_replayed_and_gone(admin: Page, stack: Stack):
    patient = str(uuid.uuid4())
    bury(stack, patient, "<b>Back & Again</b>")
    admin.goto(f"{CONSOLE}/dead-letters")
    expect(admin.locator("tr", has_text="patient.updated").filter(has_text="appointments-cg")).to_be_visible()
    admin.goto(CONSOLE)
    expect(admin.get_by_text(re.compile("[1-9][0-9]* waiting, "))).to_be_visible()
    admin.goto(f"{CONSOLE}/dead-letters")
    admin.get_by_role("link", name=f"Open {DEAD}").click()
    assert "Back &" not in admin.locator("main").inner_text()
    expect(admin.get_by_text("a bad day")).to_be_visible()
    admin.get_by_role("link", name=re.compile("Inspect")).last.click()
    expect(admin.get_by_label("Value", exact=True)).to_contain_text('"name": "<b>Back & Again</b>"')
    admin.get_by_role("button", name="Replay up to this one").click()
    expect(admin.get_by_role("status")).to_contain_text("1 replayed")
    expect(admin.get_by_text("There are none.")).to_be_visible()
    visit = {"patientId": patient, "startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
    with stack.client() as client:
        booked = client.post("/api/appointments", json=visit).json()
        until = deadline(15)
        while client.get(f"/api/appointments/{booked['id']}").json()["patientName"] != "<b>Back & Again</b>":
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.usefixtures("no_dead_letters")
def test_a_dead_letter_is_discarded_once_somebody_has_said_yes(contexts, state, stack: Stack, scripts):
    person = "Nobody In Particular"
    bury(stack, str(uuid.uuid4()), person, reason="no such ward")
    with Watched(contexts(storage_state=state, java_script_enabled=scripts).new_page()) as page:
        page.goto(f"{CONSOLE}/dead-letters/appointment-service/{DEAD}")
        offset = page.locator("tbody th").inner_text().partition("/")[2]
        page.get_by_role("button", name="Discard …").click()
        expect(page.get_by_role("heading", name="Discard this message for good?")).to_be_visible()
        row = page.locator("tbody tr")
        expect(row).to_have_count(1)
        for told in (f"partition 0, offset {offset}", "patient.updated 0/0", "no such ward"):
            expect(row).to_contain_text(told)
        assert DEAD in page.locator("main").inner_text()
        assert person not in page.content() and "back@example.com" not in page.content()
        page.get_by_role("link", name="Keep it").click()
        expect(page.locator("tbody tr")).to_have_count(1)  # to be asked is not to agree
        page.get_by_role("link", name=re.compile("Inspect")).click()
        page.get_by_role("button", name="Discard up to this one …").click()
        page.get_by_role("button", name="Discard for good").click()
        expect(page.get_by_role("status")).to_contain_text("1 discarded")
        expect(page.get_by_text("There are none.")).to_be_visible()
        page.go_back()  # to the question, which is about nothing now
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()


@pytest.mark.usefixtures("no_dead_letters")
def test_the_question_is_named_legible_and_fits(contexts, state, stack: Stack):
    for _ in range(3):
        bury(stack, str(uuid.uuid4()), "Nobody", reason=f"no such host {'very.long.name.' * 20}")
    for scheme, width in (("light", 1360), ("light", 390), ("dark", 1360), ("dark", 390)):
        viewport = {"width": width, "height": 844}
        with Watched(contexts(storage_state=state, color_scheme=scheme, viewport=viewport).new_page()) as page:
            page.goto(f"{CONSOLE}/dead-letters/appointment-service/{DEAD}/discard?count=3")
            expect(page.get_by_role("heading", name="Discard 3 messages for good?")).to_be_visible()
            assert page.evaluate(CONTRAST) == [], (scheme, width)
            assert page.evaluate(UNNAMED) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for control in (page.get_by_role("link", name="Keep them"), page.get_by_role("button", name="for good")):
                box = control.bounding_box()
                assert box and box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= 844
    assert stack.hpctl("dlq", "discard", DEAD).returncode == 0


@pytest.mark.usefixtures("no_dead_letters")
def test_a_long_reason_pushes_nothing_off_the_page(contexts, state, stack: Stack):
    bury(stack, str(uuid.uuid4()), "Nobody", reason=f"no such host {'very.long.name.' * 20}")
    for width in (1360, 390):
        page = contexts(storage_state=state, viewport={"width": width, "height": 900}).new_page()
        page.goto(f"{CONSOLE}/dead-letters/appointment-service/{DEAD}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        button = page.get_by_role("link", name=re.compile("Inspect")).bounding_box()
        assert button and button["x"] + button["width"] <= width
    assert stack.hpctl("dlq", "discard", DEAD).returncode == 0


@contextmanager
def frozen(stack: Stack) -> Iterator[None]:
    service = process(stack, "billing-service")
    service.suspend()
    try:
        yield
    finally:
        service.resume()


@contextmanager
def killed(stack: Stack) -> Iterator[None]:
    """Dead, and its supervisor cannot start it again yet."""
    supervisor = psutil.Process(running(Layout(stack.offset, {})).supervisor.pid)
    supervisor.suspend()
    try:
        process(stack, "billing-service").kill()
        yield
    finally:
        supervisor.resume()


@pytest.mark.parametrize("away", [frozen, killed])
def test_a_service_that_does_not_answer_is_down_and_holds_no_page_up(admin: Page, stack: Stack, away):
    with away(stack):
        began = time.monotonic()
        answer = admin.request.get(CONSOLE)
        assert time.monotonic() - began < 6
        assert answer.status == 200
        admin.goto(CONSOLE)
        expect(admin.get_by_role("heading", name=re.compile("^billing-service is down$"))).to_be_visible()
        expect(admin.locator("table.services tr", has_text="billing-service")).to_contain_text("DOWN")
        expect(admin.get_by_text(re.compile("^billing-service does not answer since 20.*UTC"))).to_be_visible()
        expect(admin.get_by_text("See whether its process runs")).to_be_visible()
        admin.goto(f"{CONSOLE}/services/billing-service")
        expect(admin.get_by_text("It does not answer.")).to_be_visible()
        admin.goto(f"{CONSOLE}/dead-letters")
        expect(admin.get_by_role("status")).to_contain_text(re.compile("billing-service do(es)? not answer"))
    admin.goto(CONSOLE)
    expect(admin.get_by_role("heading", name="All 6 services are up")).to_be_visible(timeout=30_000)
    if away is killed:
        admin.goto(f"{CONSOLE}/services/billing-service")
        expect(
            admin.get_by_text(re.compile(r"up for [0-9.]+ m?s "))
        ).to_be_visible()  # of this process, not of the last


@pytest.mark.parametrize("size", [(1360, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen(contexts, state, tmp_path, size, scheme):
    width, height = size
    viewport = {"width": width, "height": height}
    with Watched(contexts(storage_state=state, color_scheme=scheme, viewport=viewport).new_page()) as page:
        for address in PAGES:
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
            picture = tmp_path / f"{address.rpartition('/')[2]}.png"
            assert len(page.screenshot(path=picture, full_page=True)) > 5_000
