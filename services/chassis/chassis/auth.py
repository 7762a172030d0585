"""Tokens (JWT, RFC 7519) and permissions. The only module that touches python-jose, which alone accepts too much.

One algorithm is pinned for one key: HS256 with JWT_SECRET, or RS256 with public keys, never both. Header and claims are
checked here, before and after the library (RFC 8725). A verified token is remembered by its hash until it expires.
"""

import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import Depends, Request
from jose import jwk, jwt
from jose.exceptions import JOSEError

from chassis import telemetry
from chassis.errors import Forbidden, Unauthenticated
from chassis.settings import ConfigurationError, TokenSettings

log = telemetry.logger(__name__)

LIFETIME = 36_000
"""Seconds: ten hours."""
LONGEST_TOKEN = 4096
MOST_NESTED = 32  # arrays and objects in a header or the claims: a parser that runs out of stack raises no ValueError
SKEW = 60
REMEMBERED = 10_000
SIGNED_IN = "any"
"""The permission that every valid token has."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = frozenset({"alg", "typ", "kid"})

Key = str | bytes


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a token names. `subject` is the email address: never log it."""

    subject: str
    role: str
    token_id: str | None = None


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

    def trust(self, keys: Mapping[str, Key]) -> None:
        """Replaces the RS256 keys; what was remembered under the old ones is forgotten."""
        if keys != self._keys:
            self._keys = dict(keys)
            self._known.clear()

    def knows(self, kid: str) -> bool:
        """Whether a key of that id is trusted."""
        return kid in self._keys

    def cached(self, token: str) -> Principal | None:
        """Whom the token names, when it was verified before and has not expired since."""
        found = self._known.get(_digest(token))
        return found[1] if found is not None and found[0] > time.time() else None

    def verify(self, token: str) -> Principal:
        """Whom the token names.

        Raises:
            Unauthenticated: malformed, forged, expired, or for somebody else's algorithm; the text does not say which.
        """
        principal = self.cached(token)
        if principal is not None:
            return principal
        try:
            header = _header(token)
            claims = self._claims(token, header)
            if "aud" in claims:
                raise ValueError("aud")  # ours have none: it is meant for somebody else (RFC 7519, section 4.1.3)
            principal = Principal(_text(claims, "sub"), _text(claims, "role"), claims.get("jti"))
            expires = _lifetime(claims)
        except (ValueError, JOSEError) as error:
            self._tell(error)
            raise Unauthenticated("the token is not valid", error="invalid_token") from None
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[_digest(token)] = (expires, principal)
        return principal

    def _claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        if header.get("alg") != self.algorithm:
            raise ValueError("algorithm")
        key = self._secret if self.algorithm == "HS256" else self._key(header.get("kid"))
        _json(token.split(".")[1])
        # Claims are checked below, strictly; the library's own checks pass over what is missing.
        options = {"verify_aud": False, "verify_iat": False, "verify_exp": False, "verify_nbf": False, "leeway": 0}
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[self.algorithm], options=options)
        return claims

    def _key(self, kid: object) -> Key:
        if isinstance(kid, str) and kid in self._keys:
            return self._keys[kid]
        if "" in self._keys:
            return self._keys[""]
        raise ValueError("key")

    def _tell(self, error: Exception) -> None:
        hint = "JWT_SECRET has to be the one that the tokens were signed with"
        if self.algorithm == "RS256":
            hint = "the public key has to belong to the issuer's JWT_PRIVATE_KEY"
        signature = isinstance(error, JOSEError)
        log.warning("JWT validation failed", reason="signature" if signature else str(error), hint=hint)


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
        return str(jwt.encode(claims, self._key, algorithm=self.algorithm, headers=self._headers))


def public_keys(jwks: Mapping[str, Any]) -> dict[str, Key]:
    """The RS256 keys of a JWK set (RFC 7517) as PEM, by `kid`; other keys are passed over."""
    keys: dict[str, Key] = {}
    for each in jwks.get("keys", ()):
        if each.get("kty") == "RSA" and each.get("alg", "RS256") == "RS256" and each.get("use", "sig") == "sig":
            keys[str(each.get("kid", ""))] = jwk.construct(each, "RS256").to_pem()
    return keys


def _public_jwk(pem: str, complaint: str) -> dict[str, str]:
    try:
        public = jwk.construct(pem, "RS256").public_key().to_dict()
    except JOSEError:
        raise ConfigurationError(complaint) from None
    members = {name: _as_text(public[name]) for name in ("e", "kty", "n")}
    # The thumbprint (RFC 7638) names the key the same on every replica.
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return members | {"alg": "RS256", "use": "sig", "kid": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}


def _as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _header(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(token) > LONGEST_TOKEN or len(parts) != 3 or not all(_SEGMENT.fullmatch(part) for part in parts):
        raise ValueError("shape")
    _bytes(parts[2])
    header = _json(parts[0])
    if header.keys() - _HEADER:
        raise ValueError("header")
    if header.get("typ", "JWT") not in ("JWT", "at+jwt"):
        raise ValueError("type")
    return header


def _json(segment: str) -> dict[str, Any]:
    raw = _bytes(segment)
    if raw.count(b"[") + raw.count(b"{") > MOST_NESTED:
        raise ValueError("depth")
    value = json.loads(raw, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        raise ValueError("shape")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _bytes(segment: str) -> bytes:
    """Strict base64url: one text for one value, so that a token has one form (RFC 4648, section 3.5)."""
    try:
        raw = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("encoding") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise ValueError("encoding")
    return raw


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise ValueError(name)
    return value


def _lifetime(claims: Mapping[str, Any]) -> float:
    now = time.time()
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    if expires <= now:
        raise ValueError("expired")
    if issued > now + SKEW or expires <= issued or expires - issued > LIFETIME:
        raise ValueError("iat")
    if "nbf" in claims and _moment(claims, "nbf") > now + SKEW:
        raise ValueError("nbf")
    return expires


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise ValueError(name)
    return float(value)


def principal(request: Request) -> Principal:
    """Whom the request's bearer token names (RFC 6750).

    Raises:
        Unauthenticated: there is no token, or none that counts.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    verifier: TokenVerifier = request.app.state.tokens
    return verifier.verify(token.strip())


def Requires(permission: str | None = None) -> Any:
    """`who: Annotated[Principal, Requires("patients:write")]`: 401 without a good token, 403 without the permission."""

    async def check(request: Request) -> Principal:
        who = principal(request)
        if permission is not None and permission not in request.app.state.permissions.get(who.role, ()):
            raise Forbidden
        return who

    check.permission = permission or SIGNED_IN  # type: ignore[attr-defined]  # for the documents
    return Depends(check)


def allows(request: Request, who: Principal, permission: str) -> bool:
    """Whether the principal's role has a permission, where it depends on the body."""
    return permission in request.app.state.permissions.get(who.role, ())
