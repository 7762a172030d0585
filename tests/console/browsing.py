"""What the console's tests do with a browser."""

from playwright.sync_api import ConsoleMessage, Page

CONSOLE = "/console"
EMAIL, PASSWORD = "testuser@test.com", "password123"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = (
    CONSOLE,
    f"{CONSOLE}/services/api-gateway",
    f"{CONSOLE}/services/appointment-service",
    f"{CONSOLE}/dead-letters",
    f"{CONSOLE}/audit",
)


def log_in(page: Page, email: str = EMAIL, password: str = PASSWORD) -> None:
    """Fill the login form and send it."""
    page.goto(f"{CONSOLE}/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


class Watched:
    """A page that may not complain: of its scripts, of what it could not load, of its content security policy."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        refused = "status of 4" in message.text or "status of 5" in message.text  # an answer that a test asked for
        if message.type in {"error", "warning"} and not refused:
            self.complaints.append(message.text)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, kind: object, *_: object) -> None:
        assert kind is not None or not self.complaints, self.complaints


CONTRAST = """() => {
  const curve = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * curve(r / 255) + 0.7152 * curve(g / 255) + 0.0722 * curve(b / 255);
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(element).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("svg, script")) continue;
    const pair = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) poor.push(`${walker.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
"""Texts whose contrast with their ground is below 4.5 to 1 (WCAG 2.2, 1.4.3)."""

UNNAMED = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), [role=img]")]
  .filter(each => !(each.labels?.length || each.getAttribute("aria-label") || each.textContent.trim()))
  .map(each => each.outerHTML)"""
"""Controls and pictures without a name."""
