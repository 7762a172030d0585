"""For tests: services that log people in and have dead letters, and what a browser does with the console's forms."""

import json
import re
from asyncio import StreamWriter
from typing import Any

from chassis.testing import token

from api_gateway.testing import Edge, Reply, Seen, Service

LIMITS = {"RATE_LIMITS": "default=10000/10000,auth=10000/10000"}
FORM = "Content-Type: application/x-www-form-urlencoded"


class Platform(Service):
    """Every service: it logs people in by their address, and says what it was asked to do with dead letters.

    `answers` are those to other paths: status and body.
    """

    def __init__(self) -> None:
        super().__init__(answer=self.reply)
        self.answers: dict[str, tuple[int, Any]] = {}

    async def reply(self, seen: Seen, writer: StreamWriter) -> None:
        """Answers one request."""
        status, body = self.answers.get(seen.target, (404, {}))
        if seen.target == "/auth/login":
            role = json.loads(seen.body)["email"].partition("@")[0].upper()
            status, body = (200, {"token": token(role)}) if role in {"ADMIN", "USER"} else (401, {})
        elif seen.target in {"/ops/replay", "/ops/discard"} and status == 404:
            status, body = 200, {"replayed": 3, "discarded": 3}
        content = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(content), content))

    def asked(self, target: str) -> list[Seen]:
        """The requests for a path."""
        return [seen for seen in self.seen if seen.target == target]


def cookie(reply: Reply, name: str) -> str:
    """A cookie as it was set, with its attributes."""
    return next(value for value in reply.all("set-cookie") if value.startswith(f"{name}="))


async def log_in(gate: Edge, email: str, *lines: str, csrf: str | None = None, after: str = "") -> Reply:
    """Fetch the login form and send it; `csrf` instead of the form's own proof, `after` more fields."""
    door = await gate.ask("GET", "/console/login", *lines)
    visitor = cookie(door, "console_visitor").partition(";")[0]
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', door.body.decode())
    assert found
    body = f"csrf={found[1] if csrf is None else csrf}&email={email}&password=x{after}".encode()
    return await gate.ask("POST", "/console/login", FORM, f"Cookie: {visitor}", *lines, body=body)


async def session(gate: Edge) -> str:
    """The cookie of an ADMIN who has logged in."""
    return cookie(await log_in(gate, "admin@x"), "console_session").partition(";")[0]


def proofs(page: Reply) -> dict[str, str]:
    """The proof of each form of a page, by its address."""
    found = re.findall(r'action="([^"]+)">\s*<input type="hidden" name="csrf" value="([0-9a-f]+)"', page.body.decode())
    return dict(found)
