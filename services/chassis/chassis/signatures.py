"""Signatures of tokens (JWS, RFC 7515) and their keys. The only module that touches python-jose.

Used bare it accepts too much: `chassis.claims` reads header and claims before and after it.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from jose import jwk, jwt
from jose.exceptions import JOSEError

Key = str | bytes


class BadSignature(Exception):
    """The token was not signed with that key, or the key is none."""


def sign(claims: Mapping[str, Any], key: Key, algorithm: str, headers: Mapping[str, str]) -> str:
    """A token."""
    return str(jwt.encode(dict(claims), key, algorithm=algorithm, headers=dict(headers)))


def signed_claims(token: str, key: Key, algorithm: str) -> dict[str, Any]:
    """What the token says, if this key signed it by this algorithm; whether it still holds is not looked at.

    Raises:
        BadSignature: it did not.
    """
    # The library's own checks of claims pass over what is missing.
    options = {"verify_aud": False, "verify_iat": False, "verify_exp": False, "verify_nbf": False, "leeway": 0}
    try:
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], options=options)
    except JOSEError as error:
        raise BadSignature(str(error)) from None
    return claims


def public_keys(jwks: Mapping[str, Any]) -> dict[str, Key]:
    """The RS256 keys of a JWK set (RFC 7517) as PEM, by `kid`; other keys are passed over."""
    keys: dict[str, Key] = {}
    for each in jwks.get("keys", ()):
        if each.get("kty") == "RSA" and each.get("alg", "RS256") == "RS256" and each.get("use", "sig") == "sig":
            keys[str(each.get("kid", ""))] = jwk.construct(each, "RS256").to_pem()
    return keys


def public_jwk(pem: str) -> dict[str, str]:
    """The public half (JWK) of an RSA key in PEM, named by its thumbprint (RFC 7638), which is the same everywhere.

    Raises:
        BadSignature: it is no such key.
    """
    try:
        public = jwk.construct(pem, "RS256").public_key().to_dict()
    except JOSEError as error:
        raise BadSignature(str(error)) from None
    members = {name: _as_text(public[name]) for name in ("e", "kty", "n")}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return members | {"alg": "RS256", "use": "sig", "kid": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}


def _as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
