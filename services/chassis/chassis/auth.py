"""Who is asking, and what they may: tokens are verified, and permissions asked for in a route's signature.

One algorithm is pinned for one key: HS256 with JWT_SECRET, or RS256 with public keys, never both. Header and claims are
checked by `chassis.claims`, the signature by `chassis.signatures`. A verified token is remembered by its hash until it
expires.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request

from chassis import claims, logs, signatures
from chassis.environ import ConfigurationError
from chassis.errors import Forbidden, Unauthenticated
from chassis.http import header
from chassis.settings import TokenSettings
from chassis.signatures import BadSignature, Key

log = logs.logger(__name__)

LIFETIME = 36_000
"""Seconds: ten hours."""
REMEMBERED = 10_000
SIGNED_IN = "any"
"""The permission that every valid token has."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a token names. `subject` is the email address: never log it."""

    subject: str
    role: str
    token_id: str | None = None


class UnknownKey(Unauthenticated):
    """401: the token names a key that is not known; its issuer may have published it a moment ago."""

    def __init__(self, kid: str) -> None:
        super().__init__("the token is not valid", error="invalid_token")
        self.kid = kid


class TokenVerifier:
    """Tells whom a token names.

    `keys` are the RS256 public keys by `kid`; without them HS256 with JWT_SECRET is pinned.
    """

    def __init__(self, settings: TokenSettings, keys: Mapping[str, Key] | None = None) -> None:
        public = settings.jwt_public_key
        self._secret = settings.jwt_key
        self._keys: dict[str, Key] = dict(keys or {})
        if public is not None:
            self._keys.setdefault("", public.get_secret_value())
        asymmetric = bool(self._keys) or settings.asymmetric
        self.algorithm = "RS256" if asymmetric else "HS256"
        if not asymmetric and not self._secret:
            raise ConfigurationError("JWT_SECRET is empty")
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._find: Callable[[str], Awaitable[bool]] | None = None

    def when_missed(self, find: Callable[[str], Awaitable[bool]]) -> None:
        """Who looks for a key that a token names and that is not there; it answers whether it is there now."""
        self._find = find

    def knows(self, kid: str) -> bool:
        """Whether there is a key for tokens that name this one."""
        return kid in self._keys or "" in self._keys

    def trust(self, keys: Mapping[str, Key]) -> None:
        """Replaces the RS256 keys; what was remembered under the old ones is forgotten."""
        if keys != self._keys:
            self._keys = dict(keys)
            self._known.clear()

    def cached(self, token: str) -> Principal | None:
        """Whom the token names, when it was verified before and has not expired since."""
        found = self._known.get(_digest(token))
        return found[1] if found is not None and found[0] > time.time() else None

    async def verified(self, token: str) -> Principal:
        """Whom the token names; for a key that is not known the issuer is asked first.

        Raises:
            Unauthenticated: as `verify`.
        """
        try:
            return self.verify(token)
        except UnknownKey as error:
            if self._find is None or not await self._find(error.kid):
                self._tell("key")
                raise
        return self.verify(token)

    def verify(self, token: str) -> Principal:
        """Whom the token names.

        Raises:
            UnknownKey: `verified` might find the key.
            Unauthenticated: malformed, forged, expired, or for somebody else's algorithm; the text does not say which.
        """
        principal = self.cached(token)
        if principal is not None:
            return principal
        try:
            said = self._claims(token, claims.header(token))
            if "aud" in said:
                raise ValueError("aud")  # ours have none: it is meant for somebody else (RFC 7519, section 4.1.3)
            token_id = claims.text(said, "jti") if said.get("jti") is not None else None
            principal = Principal(claims.text(said, "sub"), claims.text(said, "role"), token_id)
            expires = claims.expiry(said, longest=LIFETIME)
        except (ValueError, BadSignature) as error:
            self._tell("signature" if isinstance(error, BadSignature) else str(error))
            raise Unauthenticated("the token is not valid", error="invalid_token") from None
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[_digest(token)] = (expires, principal)
        return principal

    def _claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        if header.get("alg") != self.algorithm:
            raise ValueError("algorithm")
        key = self._secret if self.algorithm == "HS256" else self._key(header.get("kid"))
        claims.refuse_ambiguous(token)
        return signatures.signed_claims(token, key, self.algorithm)

    def _key(self, kid: object) -> Key:
        name = kid if isinstance(kid, str) else ""
        if not self.knows(name):
            raise UnknownKey(name)
        return self._keys[name if name in self._keys else ""]

    def _tell(self, reason: str) -> None:
        hint = "JWT_SECRET has to be the one that the tokens were signed with"
        if self.algorithm == "RS256":
            hint = "the public key has to belong to the issuer's JWT_PRIVATE_KEY"
        log.warning("JWT validation failed", reason=reason, hint=hint)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def principal(request: Request) -> Principal:
    """Whom the request's bearer token names (RFC 6750).

    Raises:
        Unauthenticated: there is no token, or none that counts.
    """
    scheme, _, token = (header(request, b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    verifier: TokenVerifier = request.app.state.tokens
    return await verifier.verified(token.strip())


def Requires(permission: str | None = None) -> Any:
    """`who: Annotated[Principal, Requires("patients:write")]`: 401 without a good token, 403 without the permission."""

    async def check(request: Request) -> Principal:
        who = await principal(request)
        if permission is not None and permission not in request.app.state.permissions.get(who.role, ()):
            raise Forbidden
        return who

    check.permission = permission or SIGNED_IN  # type: ignore[attr-defined]  # for the documents
    return Depends(check)


def allows(request: Request, who: Principal, permission: str) -> bool:
    """Whether the principal's role has a permission, where it depends on the body."""
    return permission in request.app.state.permissions.get(who.role, ())
