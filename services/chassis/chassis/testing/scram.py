"""An Apache Kafka whose outer listener speaks TLS and asks for a name, proven by SCRAM (RFC 5802)."""

import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpctl.embedded.kafka import CLUSTER_ID, Kafka, _java

from chassis.testing.selfsigned import CERTIFICATE, KEY, certify


class ScramKafka(Kafka):
    """`external_port` is for users, by their `passwords`; `port` is the administrator's, who is asked for nothing.

    `ca` is the file that clients trust.
    """

    def __init__(self, directory: Path, passwords: Mapping[str, str]) -> None:
        super().__init__(directory)
        self.passwords = passwords
        self.ca = directory / CERTIFICATE
        self._keystore = directory / "server.pem"

    def prepare(self) -> None:
        """Makes the certificate, and the users while there is no data yet."""
        if not self._keystore.exists():
            certify(self.ca.parent)
            self._keystore.write_bytes((self.ca.parent / KEY).read_bytes() + self.ca.read_bytes())
        if not self.data.exists():
            self._format_with_users()
        super().prepare()

    def client(self, user: str) -> dict[str, Any]:
        """What an aiokafka client of this user is made with."""
        return {
            "bootstrap_servers": f"{self.host}:{self.external_port}",
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(self.ca)),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": self.passwords[user],
        }

    def _settings(self) -> dict[str, object]:
        users = "listener.name.external"
        return super()._settings() | {
            "listener.security.protocol.map": "INTERNAL:PLAINTEXT,EXTERNAL:SASL_SSL,CONTROLLER:PLAINTEXT",
            f"{users}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            f"{users}.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            f"{users}.ssl.keystore.type": "PEM",
            f"{users}.ssl.keystore.location": self._keystore.resolve(),
        }

    def _format_with_users(self) -> None:
        self.properties.write_text("\n".join(f"{name}={value}" for name, value in self._settings().items()))
        words = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self.properties)]
        for user, password in self.passwords.items():
            words += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        # log.dirs is relative to the server's folder (hpctl.embedded.kafka).
        subprocess.run(_java(*words), cwd=self.directory, capture_output=True, text=True, check=True)  # noqa: S603 - the tests' own words
