"""What a process says of itself."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2 as httpx
import pytest
from chassis.app import create_app
from chassis.settings import ServiceSettings
from chassis.testing import serve
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Settings(ServiceSettings):
    service_name = "runtime-test"
    port: int = 0
    peer_ca_file: str | None = None


def certificate(days: int) -> tuple[bytes, float]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC).replace(microsecond=0)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number()).not_valid_before(now)
    signed = built.not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())
    pem = signed.public_bytes(serialization.Encoding.PEM)
    return pem, (now + timedelta(days=days)).timestamp()


@pytest.mark.contract("O06")
async def test_it_says_when_the_first_certificate_of_a_file_ends(tmp_path: Path) -> None:
    (early, ends), (late, _) = certificate(3), certificate(300)
    file = tmp_path / "ca.crt"
    file.write_bytes(late + early)
    app = create_app(Settings.from_environ({"PEER_CA_FILE": str(file)}))
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        text = (await client.get("/actuator/prometheus")).text
        line = next(line for line in text.splitlines() if 'expiry_timestamp_seconds{setting="PEER_CA_FILE"}' in line)
        assert float(line.rpartition(" ")[2]) == ends
        file.write_text("not a certificate")
        assert 'setting="PEER_CA_FILE"' not in (await client.get("/actuator/prometheus")).text
        assert "build_info{python=" in text
        assert 'python_gc_pause_seconds_count{generation="2"}' in text
        assert "_created" not in text
