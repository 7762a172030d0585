"""Signs the tokens that `chassis.auth` verifies."""

import time
from collections.abc import Sequence
from uuid import uuid4

from chassis import signatures
from chassis.auth import LIFETIME
from chassis.environ import ConfigurationError
from chassis.settings import TokenSettings
from chassis.signatures import BadSignature, Key


class TokenIssuer:
    """Signs tokens: RS256 when a private key (PEM) is given, HS256 with JWT_SECRET otherwise.

    `others` (PEM) are published beside the signing key: the one that will sign next, and the one that signed before.
    """

    def __init__(self, settings: TokenSettings, private_key: str | None = None, others: Sequence[str] = ()) -> None:
        self._key: Key = private_key or settings.jwt_key
        self.algorithm = "RS256" if private_key else "HS256"
        self._headers: dict[str, str] = {}
        self.jwks: dict[str, list[dict[str, str]]] = {"keys": []}
        if private_key:
            public = _public_jwk(private_key, "JWT_PRIVATE_KEY is not a private key in PEM")
            self._headers = {"kid": public["kid"]}
            published = [_public_jwk(key, "JWT_PUBLISHED_KEYS holds what is no RSA key in PEM") for key in others]
            self.jwks = {"keys": [public, *(each for each in published if each != public)]}

    def issue(self, subject: str, role: str) -> str:
        """A token for ten hours: sub (the email), role, iat, exp, jti."""
        now = int(time.time())
        claims = {"sub": subject, "role": role, "iat": now, "exp": now + LIFETIME, "jti": uuid4().hex}
        return signatures.sign(claims, self._key, self.algorithm, self._headers)


def _public_jwk(pem: str, complaint: str) -> dict[str, str]:
    try:
        return signatures.public_jwk(pem)
    except BadSignature:
        raise ConfigurationError(complaint) from None
