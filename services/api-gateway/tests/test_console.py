"""The console's door: who gets in, what a form has to carry, and what every answer says to the browser."""

import re
import time

from api_gateway.console.testing import FORM, LIMITS, Platform, cookie, log_in, proofs, session
from api_gateway.testing import Edge, running
from chassis.testing import token

AWAY = (
    "https://evil.example",
    "//evil.example",
    "/console//evil.example",
    "/console/../auth",
    "/console/%2e%2e/auth",
    "/api/patients",
    "/console@evil.example",
    "/console/%0d%0aX-Evil:1",
    "/consoles",
    "/console/a%3Fb=%22%3E",
)


async def test_an_admin_gets_a_cookie_that_scripts_and_other_sites_cannot_use(gate: Edge, platform: Platform):
    reply = await log_in(gate, "admin@x")
    assert (reply.status, reply.one("location")) == (303, "/console")
    kept = cookie(reply, "console_session")
    assert {"HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=36000"} <= set(kept.split("; "))
    assert "Secure" not in kept
    overview = await gate.ask("GET", "/console", f"Cookie: {kept.partition(';')[0]}", "X-Request-ID: one-look")
    assert overview.status == 200
    assert b"does not answer" in overview.body
    asked = platform.asked("/ops/summary")
    assert len(asked) == 5
    assert {seen.one("x-request-id") for seen in asked} == {"one-look"}
    assert all(seen.one("authorization").startswith("Bearer ") for seen in asked)


async def test_behind_tls_or_in_production_the_cookie_is_secure(platform: Platform):
    async with running(platform, TRUSTED_PROXIES="127.0.0.1/32", **LIMITS) as gate:
        assert "; Secure" in cookie(await log_in(gate, "admin@x", "X-Forwarded-Proto: https"), "console_session")
        assert "; Secure" not in cookie(await log_in(gate, "admin@x"), "console_session")
    async with running(platform, APP_ENV="production", **LIMITS) as gate:
        assert "; Secure" in cookie(await log_in(gate, "admin@x"), "console_session")


async def test_what_a_client_says_of_tls_counts_for_nothing(gate: Edge):
    assert "; Secure" not in cookie(await log_in(gate, "admin@x", "X-Forwarded-Proto: https"), "console_session")


async def test_nobody_else_gets_in(gate: Edge, platform: Platform):
    for email, status in (("user@x", 403), ("stranger@x", 401)):
        reply = await log_in(gate, email)
        assert reply.status == status
        assert not [value for value in reply.all("set-cookie") if value.startswith("console_session")]
    await platform.stop()
    assert (await log_in(gate, "admin@x")).status == 503
    over = token("ADMIN", exp=int(time.time()) - 120)
    for value in (token("USER"), token("ADMIN", secret="another secret of at least 32 bytes"), over, "x", ""):
        reply = await gate.ask("GET", "/console", f"Cookie: console_session={value}")
        assert (reply.status, reply.one("location")) == (303, "/console/login")
    bearer = await gate.ask("GET", "/console", f"Authorization: Bearer {token('ADMIN')}")
    assert bearer.status == 303  # a cookie of its own only


async def test_a_form_needs_its_own_proof(gate: Edge, platform: Platform):
    assert (await log_in(gate, "admin@x", csrf="")).status == 403
    assert (await log_in(gate, "admin@x", csrf="0" * 64)).status == 403
    assert not platform.asked("/auth/login")

    held = await session(gate)
    page = await gate.ask("GET", "/console", f"Cookie: {held}")
    leave = proofs(page)["/console/logout"]
    path = "/console/dead-letters/patient-service/t.dlq/replay"
    for body in (b"", b"count=1", b"csrf=", b"csrf=" + leave.encode()):  # the proof of another form is none
        assert (await gate.ask("POST", path, FORM, f"Cookie: {held}", body=body)).status == 403
    assert (await gate.ask("POST", path, FORM, body=b"csrf=" + leave.encode())).status == 303
    assert not platform.asked("/ops/replay")

    out = await gate.ask("POST", "/console/logout", FORM, f"Cookie: {held}", body=b"csrf=" + leave.encode())
    assert (out.status, out.one("location")) == (303, "/console/login")
    assert "Max-Age=0" in cookie(out, "console_session")


async def test_every_answer_says_what_a_browser_may_do(gate: Edge):
    held = f"Cookie: {await session(gate)}"
    replies = [await gate.ask("GET", path, held) for path in ("/console", "/console/login", "/console/audit")]
    replies.append(await gate.ask("GET", "/console"))
    replies.append(await gate.ask("POST", "/console/logout", FORM, held, body=b"x=1"))
    for reply in replies:
        policy = reply.one("content-security-policy")
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert reply.one("cache-control") == "no-store"
        assert reply.one("x-content-type-options") == "nosniff"
        assert reply.one("x-frame-options") == "DENY"
        assert not re.search(rb" style=| on[a-z]+=|<script>", reply.body)
    style = await gate.ask("GET", "/console/static/console.css")
    assert "immutable" in style.one("cache-control")
    assert (await gate.ask("GET", "/console/static/..%2fpages.py")).status in {400, 404}


async def test_what_is_not_there_is_a_page_too(gate: Edge):
    held = f"Cookie: {await session(gate)}"
    for path in ("services/nothing", "dead-letters/nothing/t.dlq", "dead-letters/patient-service/t.dlq"):
        reply = await gate.ask("GET", f"/console/{path}", held)
        assert reply.status == 404
        assert b"<h1>Not found</h1>" in reply.body
    assert (await gate.ask("GET", "/api-docs/nothing")).one("content-type") == "application/problem+json"


async def test_forms_are_short_and_few(platform: Platform, gate: Edge):
    assert (await gate.ask("POST", "/console/login", FORM, body=b"x" * 20_000)).status == 413
    assert (await gate.ask("POST", "/console/login", "Content-Type: text/plain", body=b"x")).status == 415
    assert (await log_in(gate, "admin@x", after="&a=b" * 60)).status == 403
    assert (await gate.ask("POST", "/actuator/health", FORM, body=b"x")).status == 405
    async with running(platform, RATE_LIMITS="default=10000/10000,auth=1/3") as strict:
        statuses = [(await strict.ask("POST", "/console/login", FORM, body=b"x=1")).status for _ in range(6)]
    assert statuses[:3] == [403] * 3
    assert statuses[-1] == 429


async def test_a_form_comes_in_pieces_and_the_connection_goes_on(gate: Edge):
    async with gate.connect() as line:
        head = f"POST /console/login HTTP/1.1\r\nHost: g\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
        for piece in (head.encode(), b"3\r\ncsr\r\n", b"2\r\nf=\r\n", b"0\r\n\r\n"):
            line.send(piece)
            await line.writer.drain()
        assert (await line.reply()).status == 403
        assert (await line.ask("GET", "/console/login")).status == 200


async def test_ops_and_a_switched_off_console_are_nowhere(gate: Edge, platform: Platform):
    bearer = f"Authorization: Bearer {token('ADMIN')}"
    for path in ("/ops/summary", "/api/ops/summary", "/api/patients/../ops/summary", "/auth/../ops/summary"):
        assert (await gate.ask("GET", path, bearer)).status in {400, 404}
    assert not platform.seen
    async with running(platform, CONSOLE_ENABLED="false", **LIMITS) as closed:
        for path in ("/console", "/console/login", "/console/static/console.css"):
            assert (await closed.ask("GET", path)).status == 404


async def test_whoever_asked_for_a_page_gets_it_after_the_login(gate: Edge):
    asked = "/console/dead-letters/patient-service/t.dlq/0/7"
    door = (await gate.ask("GET", asked)).one("location")
    assert door == f"/console/login?next={asked}"
    page = await gate.ask("GET", door)
    assert f'name="next" value="{asked}"'.encode() in page.body
    assert (await log_in(gate, "admin@x", after=f"&next={asked}")).one("location") == asked
    wrong = await log_in(gate, "stranger@x", after=f"&next={asked}")
    assert f'name="next" value="{asked}"'.encode() in wrong.body


async def test_after_the_login_nobody_is_sent_out_of_the_console(gate: Edge):
    for away in AWAY:
        reply = await log_in(gate, "admin@x", after=f"&next={away}")
        assert reply.status == 303
        assert re.fullmatch(r"/console(/(?!\.\.?(/|$))[\w.-]+)*", reply.one("location")), away
        assert b"evil" not in (await gate.ask("GET", f"/console/login?next={away}")).body


async def test_a_link_from_elsewhere_brings_no_cookie_and_asks_once_more(gate: Edge):
    reply = await gate.ask("GET", "/console/audit", "Sec-Fetch-Site: cross-site")
    assert reply.status == 200
    assert b'<meta http-equiv="refresh" content="0; url=/console/audit">' in reply.body
    assert not reply.all("set-cookie")
    again = await gate.ask("GET", "/console/audit", "Sec-Fetch-Site: same-origin")
    assert (again.status, again.one("location")) == (303, "/console/login?next=/console/audit")
