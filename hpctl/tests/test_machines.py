"""The stack on machines as people have them: a disk that fills up, a strange path, a consumer that dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from hpctl.layout import ROOT

from tests.ports import free_offset

FULL_DISK = """
set -eu
mount -t tmpfs -o size=700m none "$RUN"
hpctl() { "$PYTHON" -m hpctl "$@"; }
hpctl up >/dev/null
hpctl demo >/dev/null
tr '\\0' x </dev/zero >"$RUN/filler" 2>/dev/null || true
kill -9 "$(hpctl status --json | "$PYTHON" -c 'import json, sys
print(next(each["pid"] for each in json.load(sys.stdin)["processes"] if each["name"] == "valkey"))')"
sleep_until() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "never: $*"; exit 1; }
restarted() { hpctl status --json | grep -q '"health": "UP"' ; }
sleep_until restarted
echo "status: $(hpctl status || echo "exit $?")"
echo "doctor: $(hpctl doctor || echo "exit $?")"
echo "health: $("$PYTHON" -c 'import os, urllib.request as u
print(u.urlopen("http://127.0.0.1:%d/actuator/health" % (4000 + int(os.environ["PORT_OFFSET"]))).read().decode())')"
rm "$RUN/filler"
sleep_until hpctl demo
sleep_until hpctl status
echo "healed"
hpctl reset --yes >/dev/null 2>&1 || true
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def test_a_full_disk_ends_nothing_is_said_and_heals(tmp_path: Path) -> None:
    """On a small disk of its own, mounted in a namespace of the test's own: no root is needed."""
    offset = free_offset()
    run = ROOT / ".run" / str(offset)
    run.mkdir(parents=True)
    environ = os.environ | {"PORT_OFFSET": str(offset), "RUN": str(run), "PYTHON": sys.executable}
    done = subprocess.run(
        [*NAMESPACE, "bash", "-c", FULL_DISK],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the disk of {run} is full" in done.stdout.partition("doctor:")[0]
    assert f"the disk of {run} is full" in done.stdout.partition("doctor:")[2].partition("health:")[0]
    assert done.stdout.count("exit 1") == 2
    assert '"diskSpace":{"status":"DOWN"' in done.stdout
    assert done.stdout.strip().endswith("healed")
    run.rmdir()


def test_a_checkout_in_a_strange_path_works(tmp_path: Path) -> None:
    checkout = tmp_path / """it's a "stránge" päth, with ‘quotes’ & $PACE; 100 %"""
    for folder in ("hpctl/hpctl", "services", "protos", "docs", "monitoring"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    packages = [checkout / "hpctl", checkout / "protos", *(checkout / "services").iterdir()]
    environ = os.environ | {"PORT_OFFSET": str(free_offset()), "PYTHONPATH": os.pathsep.join(map(str, packages))}

    def hpctl(*words: str) -> str:
        command = [sys.executable, "-m", "hpctl", *words]
        done = subprocess.run(
            command, cwd=checkout, env=environ, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        assert str(checkout) in hpctl("up")
        hpctl("demo")
        hpctl("backup")
        hpctl("down")
        hpctl("restore", str(next((checkout / ".run").glob("*/backups/*"))))
        hpctl("up")
        hpctl("demo")
    finally:
        hpctl("reset", "--yes")


@pytest.mark.contract("Q15")
def test_a_killed_consumer_leaves_its_group_at_once(running: Any) -> None:
    """Its session would hold its partitions for ten seconds, in which nobody reads them."""
    login = {"email": "testuser@test.com", "password": "password123"}
    gateway = running.layout.gateway
    token = httpx.post(f"{gateway}/auth/login", json=login, timeout=15).json()["token"]
    person = {"email": f"{uuid.uuid4().hex}@example.com", "address": "1 Way", "dateOfBirth": "1990-01-01"}
    with httpx.Client(base_url=gateway, timeout=15, headers={"Authorization": f"Bearer {token}"}) as http:
        who = http.post("/api/patients", json=person | {"name": "Before Kill"}).json()["id"]
        body = {"patientId": who, "startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
        visit = http.post("/api/appointments", json=body).json()["id"]
        # Not through the gateway, whose breaker would keep the service's absence for ten seconds.
        page = f"http://127.0.0.1:{running.layout.port('APPOINTMENT_SERVICE_PORT')}/appointments/{visit}"
        running.eventually(lambda: _name(http, page) == "Before Kill")
        os.kill(running.process("appointment-service").pid, signal.SIGKILL)
        began = time.monotonic()
        assert http.put(f"/api/patients/{who}", json=person | {"name": "After Kill"}).status_code == 200
        running.eventually(lambda: _name(http, page) == "After Kill")
        assert time.monotonic() - began < 9


def _name(http: httpx.Client, page: str) -> str | None:
    try:
        answer = http.get(page)
    except httpx.TransportError:
        return None
    return answer.json()["patientName"] if answer.status_code == 200 else None
