"""Backups restore: on the real stack, with rows that came and went since."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from chassis.testing import deadline

LOGIN = {"email": "testuser@test.com", "password": "password123"}


def client(platform: Any) -> httpx.Client:
    gateway = platform.layout.gateway
    token = httpx.post(f"{gateway}/auth/login", json=LOGIN, timeout=15).json()["token"]
    return httpx.Client(base_url=gateway, timeout=15, headers={"Authorization": f"Bearer {token}"})


def patient(http: httpx.Client, name: str) -> str:
    body = {"name": name, "email": f"{uuid.uuid4().hex}@example.com", "address": "1 Way", "dateOfBirth": "1990-01-01"}
    answer = http.post("/api/patients", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def saved(running: Any, tmp_path: Path) -> tuple[Path, str, str]:
    """A backup, a patient who is in it, and one who came later."""
    with client(running) as http:
        before = patient(http, "Before Backup")
        made = running.hpctl("backup", str(tmp_path / "saved"))
        assert made.returncode == 0, made.stderr
        return tmp_path / "saved", before, patient(http, "After Backup")


@pytest.mark.contract("X12")
def test_a_restore_brings_back_what_the_backup_holds_and_nothing_else(
    running: Any, saved: tuple[Path, str, str]
) -> None:
    directory, before, after = saved
    with client(running) as http:
        assert http.delete(f"/api/patients/{before}").status_code == 204
    refused = running.hpctl("restore", str(directory))
    assert refused.returncode == 1 and "hpctl down" in refused.stderr
    assert running.hpctl("down").returncode == 0
    restored = running.hpctl("restore", str(directory))
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.count("restored ") == 5
    assert running.hpctl("up").returncode == 0
    with client(running) as http:
        assert http.get(f"/api/patients/{before}").json()["name"] == "Before Backup"
        assert http.get(f"/api/patients/{after}").status_code == 404
        assert patient(http, "Life Goes On")
    assert running.hpctl("projection", "rebuild").returncode == 0


@pytest.mark.contract("X12", "D03")
def test_after_a_restore_no_appointment_shows_a_name_that_the_patient_no_longer_has(
    running: Any, tmp_path: Path
) -> None:
    """Kafka holds newer versions than the backup: neither what was restored nor a later update stays behind them."""
    body = {
        "name": "Of The Backup",
        "email": f"{uuid.uuid4().hex}@example.com",
        "address": "1",
        "dateOfBirth": "1990-01-01",
    }
    times = {"startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
    with client(running) as http:
        who = http.post("/api/patients", json=body).json()["id"]
        visit = http.post("/api/appointments", json={"patientId": who, **times}).json()["id"]
        assert running.hpctl("backup", str(tmp_path / "saved")).returncode == 0
        for number in range(3):
            changed = http.put(f"/api/patients/{who}", json=body | {"name": f"Undone {number}"})
            assert changed.status_code == 200, changed.text
        _shows(http, visit, "Undone 2")
    assert running.hpctl("down").returncode == 0
    restored = running.hpctl("restore", str(tmp_path / "saved"))
    assert restored.returncode == 0, restored.stderr
    assert running.hpctl("up").returncode == 0
    assert running.hpctl("projection", "rebuild").returncode == 0
    with client(running) as http:
        _shows(http, visit, "Of The Backup")
        before = http.get(f"/api/patients/{who}").headers["etag"]
        changed = http.put(f"/api/patients/{who}", json=body | {"name": "After"}, headers={"If-Match": before})
        assert changed.status_code == 200, changed.text
        _shows(http, visit, "After")


@pytest.mark.contract("X12", "D03", "D24")
def test_the_same_backup_may_be_restored_again_and_no_tag_comes_back(running: Any, tmp_path: Path) -> None:
    """Edits after the first restore are newer than what the second one would leap to, were it the same leap."""
    body = {"email": f"{uuid.uuid4().hex}@example.com", "address": "1", "dateOfBirth": "1990-01-01"}
    times = {"startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
    tags: dict[str, list[str]] = {"patient": [], "visit": []}
    with client(running) as http:
        who = http.post("/api/patients", json=body | {"name": "Of The Backup"}).json()["id"]
        visit = http.post("/api/appointments", json={"patientId": who, **times}).json()["id"]
        assert running.hpctl("backup", str(tmp_path / "saved")).returncode == 0
    for round_ in ("first", "second"):
        assert running.hpctl("down").returncode == 0
        restored = running.hpctl("restore", str(tmp_path / "saved"))
        assert restored.returncode == 0, restored.stderr
        assert running.hpctl("up").returncode == 0
        with client(running) as http:
            for number in range(2):
                changed = http.put(f"/api/patients/{who}", json=body | {"name": f"{round_} {number}"})
                noted = http.put(
                    f"/api/appointments/{visit}", json={"patientId": who, "notes": f"{round_} {number}", **times}
                )
                assert (changed.status_code, noted.status_code) == (200, 200), changed.text + noted.text
                tags["patient"].append(changed.headers["etag"])
                tags["visit"].append(noted.headers["etag"])
            _shows(http, visit, f"{round_} 1")
    assert len(set(tags["patient"])) == len(set(tags["visit"])) == 4


def _shows(http: httpx.Client, visit: str, name: str) -> None:
    until = deadline(60)
    while (seen := http.get(f"/api/appointments/{visit}").json()["patientName"]) != name:
        assert time.monotonic() < until, f"it still shows {seen}"
        time.sleep(0.2)


@pytest.mark.contract("X12")
def test_a_damaged_backup_is_refused(running: Any, tmp_path: Path) -> None:
    directory = tmp_path / "saved"
    assert running.hpctl("backup", str(directory)).returncode == 0
    archive = directory / "patient-service.dump"
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    refused = running.hpctl("restore", str(directory))
    assert refused.returncode == 1 and "patient-service.dump is missing or damaged" in refused.stderr
    assert running.hpctl("restore", str(tmp_path)).returncode == 1


def test_one_service_can_be_saved_alone_and_only_its_owner_reads_it(running: Any, tmp_path: Path) -> None:
    made = running.hpctl("backup", str(tmp_path / "one"), "--service", "auth-service")
    assert made.returncode == 0 and made.stdout.strip() == str(tmp_path / "one")
    archives = json.loads((tmp_path / "one" / "manifest.json").read_text())["archives"]
    assert [each["service"] for each in archives] == ["auth-service"]
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0
    assert (tmp_path / "one" / "auth-service.dump").stat().st_mode & 0o077 == 0
    again = running.hpctl("backup", str(tmp_path / "one"))
    assert again.returncode == 1 and "never overwritten" in again.stderr
    refused = running.hpctl("backup", "--service", "api-gateway")
    assert refused.returncode == 2 and "auth-service" in refused.stderr


def test_a_backup_that_fails_leaves_nothing_behind(running: Any, tmp_path: Path) -> None:
    failed = running.hpctl("backup", str(tmp_path / "failed"), PATIENT_DB_PORT="1")  # where nobody listens
    assert failed.returncode == 1, failed.stdout
    assert list(tmp_path.iterdir()) == []
    assert running.hpctl("backup", str(tmp_path / "failed")).returncode == 0


def test_what_a_killed_backup_left_is_named_and_kept(running: Any, tmp_path: Path) -> None:
    left = tmp_path / "saved.making"
    left.mkdir()
    refused = running.hpctl("backup", str(tmp_path / "saved"))
    assert refused.returncode == 1, refused.stdout
    assert f"{left} is of a backup that was killed or still runs" in " ".join(refused.stderr.split())
    assert list(tmp_path.iterdir()) == [left]
