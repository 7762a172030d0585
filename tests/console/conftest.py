"""A real browser before the running platform."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import Stack
from tests.console.browsing import ARGUMENTS, CONSOLE, Watched, log_in
from tests.engine.needs import install
from tests.lacking import Lacking

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, for one module: while it runs, nothing else can run an event loop in this thread."""
    if not any(map(shutil.which, BROWSERS)) and os.geteuid() == 0 and shutil.which("apt-get"):
        install({"chromium": "chromium"})
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise Lacking("Chromium", "install chromium or google-chrome with the system's package manager")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def state(browser: Browser, stack: Stack) -> dict:
    """The cookies of an ADMIN who is logged in."""
    context = browser.new_context(base_url=stack.gateway)
    page = context.new_page()
    log_in(page)
    page.wait_for_url(f"**{CONSOLE}")
    found = context.storage_state()
    context.close()
    return found


@pytest.fixture
def contexts(browser: Browser, stack: Stack) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts that end with the test."""
    made: list[BrowserContext] = []

    def make(**options) -> BrowserContext:
        made.append(browser.new_context(base_url=stack.gateway, **options))
        return made[-1]

    yield make
    for context in made:
        context.close()


@pytest.fixture
def visitor(contexts) -> Iterator[Page]:
    """Nobody in particular; whatever the browser complains of fails the test."""
    with Watched(contexts().new_page()) as page:
        yield page


@pytest.fixture
def admin(contexts, state) -> Iterator[Page]:
    """An ADMIN who is logged in; whatever the browser complains of fails the test."""
    with Watched(contexts(storage_state=state).new_page()) as page:
        yield page
