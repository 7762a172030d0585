"""Forged, altered and stale tokens are refused; good ones are remembered only as long as they are good."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from chassis.auth import LIFETIME, TokenVerifier
from chassis.environ import ConfigurationError
from chassis.errors import Unauthenticated
from chassis.issuer import TokenIssuer
from chassis.settings import ServiceSettings, TokenSettings
from chassis.signatures import public_keys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from jose import jwt
from structlog.testing import capture_logs

SECRET = "a secret that is longer than thirty-two bytes"


class Settings(ServiceSettings, TokenSettings):
    service_name = "token-test"


def settings(**environ: str) -> Settings:
    return Settings.from_environ({"JWT_SECRET": SECRET} | environ)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any, claims: Any, key: bytes = SECRET.encode(), digest: Any = hashlib.sha256) -> str:
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    text = ".".join(b64(part.encode()) for part in parts)
    return f"{text}.{b64(hmac.digest(key, text.encode(), digest))}"


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"sub": "someone@example.com", "role": "USER", "iat": now, "exp": now + 3600} | changes
    return {name: value for name, value in good.items() if value is not ...}


HEADER = {"alg": "HS256", "typ": "JWT"}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PUBLIC_DER = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
GOOD = signed(HEADER, claims())
NOW = int(time.time())

BAD = {
    "nothing": "",
    "one dot": "a.b",
    "four parts": GOOD + ".x",
    "empty signature": GOOD.rpartition(".")[0] + ".",
    "no signature": GOOD.rpartition(".")[0],
    "flipped signature": GOOD[:-4] + ("AAAA" if GOOD[-4:] != "AAAA" else "BBBB"),
    "truncated signature": GOOD[:-5],
    "altered claims": GOOD.split(".")[0]
    + "."
    + b64(json.dumps(claims(role="ADMIN")).encode())
    + "."
    + GOOD.split(".")[2],
    "padded": GOOD + "=",
    "padded header": GOOD.replace(".", "=.", 1),
    "space before": " " + GOOD,
    "newline after": GOOD + "\n",
    "standard alphabet": GOOD.rpartition(".")[0] + ".ab+/" + GOOD.rpartition(".")[2][4:],
    "not canonical base64": GOOD[:-1] + chr(ord(GOOD[-1]) + 1),
    "alg none": b64(b'{"alg":"none"}') + "." + b64(json.dumps(claims()).encode()) + ".",
    "alg none, signed": signed({"alg": "none"}, claims()),
    "alg None in capitals": signed({"alg": "nOnE"}, claims()),
    "alg missing": signed({"typ": "JWT"}, claims()),
    "alg null": signed({"alg": None}, claims()),
    "alg a list": signed({"alg": ["HS256"]}, claims()),
    "alg HS384": signed({"alg": "HS384"}, claims(), digest=hashlib.sha384),
    "alg HS512": signed({"alg": "HS512"}, claims(), digest=hashlib.sha512),
    "alg RS256 with HMAC": signed({"alg": "RS256"}, claims()),
    "RS256 by a stranger": jwt.encode(claims(), PRIVATE, algorithm="RS256"),
    "unknown crit": signed(HEADER | {"crit": ["exp"], "exp": 1}, claims()),
    "jku": signed(HEADER | {"jku": "https://evil.example/keys"}, claims()),
    "jwk inside": signed(HEADER | {"jwk": {"kty": "oct", "k": "AAAA"}}, claims()),
    "x5u": signed(HEADER | {"x5u": "https://evil.example/cert"}, claims()),
    "typ of something else": signed(HEADER | {"typ": "secevent+jwt"}, claims()),
    "header a list": signed([1, 2], claims()),
    "header not JSON": signed("{", claims()),
    "alg twice": signed('{"alg":"none","alg":"HS256"}', claims()),
    "header deep": signed("[" * 2_500, claims()),
    "header deep in a name": signed('{"alg":' + "[" * 2_500, claims()),
    "claims deep": signed(HEADER, "[" * 2_500),
    "empty key": signed(HEADER, claims(), key=b""),
    "another key": signed(HEADER, claims(), key=b"another secret of more than thirty-two bytes"),
    "public key as secret (PEM)": signed(HEADER, claims(), key=PUBLIC),
    "public key as secret (DER)": signed(HEADER, claims(), key=PUBLIC_DER),
    "claims a list": signed(HEADER, ["sub"]),
    "claims not JSON": signed(HEADER, "{"),
    "sub twice": signed(HEADER, json.dumps(claims())[:-1] + ',"sub":"admin@example.com"}'),
    "sub missing": signed(HEADER, claims(sub=...)),
    "sub empty": signed(HEADER, claims(sub="")),
    "sub a number": signed(HEADER, claims(sub=7)),
    "sub too long": signed(HEADER, claims(sub="x" * 256)),
    "role missing": signed(HEADER, claims(role=...)),
    "role a list": signed(HEADER, claims(role=["ADMIN"])),
    "for somebody else": signed(HEADER, claims(aud="another-platform")),
    "for a list of others": signed(HEADER, claims(aud=["another-platform"])),
    "exp missing": signed(HEADER, claims(exp=...)),
    "exp past": signed(HEADER, claims(iat=NOW - 3600, exp=NOW - 1)),
    "exp text": signed(HEADER, claims(exp="tomorrow")),
    "exp a numeral in text": signed(HEADER, claims(exp=str(NOW + 60))),
    "exp true": signed(HEADER, claims(exp=True)),
    "exp infinite": signed(HEADER, json.dumps(claims(exp=1))[:-1].replace('"exp": 1', '"exp": 1e400') + "}"),
    "exp beyond ten hours": signed(HEADER, claims(exp=NOW + LIFETIME + 3600)),
    "iat missing": signed(HEADER, claims(iat=...)),
    "iat in the future": signed(HEADER, claims(iat=NOW + 3600, exp=NOW + 7200)),
    "iat after exp": signed(HEADER, claims(iat=NOW + 30, exp=NOW + 20)),
    "nbf in the future": signed(HEADER, claims(nbf=NOW + 3600)),
    "nbf text": signed(HEADER, claims(nbf="now")),
    "huge": signed(HEADER, claims(extra="x" * 5000)),
    "not ASCII": GOOD.replace(".", ".é", 1),
}


@pytest.mark.contract("S06", "S12", "D10")
@pytest.mark.parametrize("name", sorted(BAD))
def test_it_is_refused(name: str) -> None:
    verifier = TokenVerifier(settings())
    with pytest.raises(Unauthenticated):
        verifier.verify(BAD[name])
    assert verifier.cached(BAD[name]) is None


def test_the_corpus_is_large_enough_and_its_model_is_good() -> None:
    assert len(BAD) >= 40
    assert TokenVerifier(settings()).verify(GOOD).subject == "someone@example.com"


@pytest.mark.contract("S13", "D10")
def test_issued_tokens_are_good_for_ten_hours_in_both_families() -> None:
    hmac_settings = settings()
    who = TokenVerifier(hmac_settings).verify(TokenIssuer(hmac_settings).issue("a@example.com", "ADMIN"))
    assert (who.subject, who.role) == ("a@example.com", "ADMIN")
    issuer = TokenIssuer(hmac_settings, PRIVATE)
    token = issuer.issue("b@example.com", "USER")
    assert TokenVerifier(settings(JWT_PUBLIC_KEY=PUBLIC.decode())).verify(token).subject == "b@example.com"
    published = TokenVerifier(settings(JWT_JWKS_URL="http://127.0.0.1:1/jwks"))
    with pytest.raises(Unauthenticated):
        published.verify(token)
    published.trust(public_keys(issuer.jwks))
    assert published.verify(token).role == "USER"
    assert jwt.get_unverified_claims(token)["exp"] - jwt.get_unverified_claims(token)["iat"] == LIFETIME


@pytest.mark.contract("D10")
@pytest.mark.parametrize("key", [PUBLIC, PUBLIC_DER, SECRET.encode()], ids=["PEM", "DER", "secret"])
def test_with_rs256_no_hmac_token_is_good_whatever_its_key(key: bytes) -> None:
    verifier = TokenVerifier(settings(JWT_PUBLIC_KEY=PUBLIC.decode()))
    for header in (HEADER, {"alg": "RS256"}):
        with pytest.raises(Unauthenticated):
            verifier.verify(signed(header, claims(), key=key))


def rsa_signed(header: Any, payload: Any, key: rsa.RSAPrivateKey = RSA) -> str:
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    text = ".".join(b64(part.encode()) for part in parts)
    return f"{text}.{b64(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


RS256 = {"alg": "RS256", "typ": "JWT", "kid": "known"}
GOOD_RS256 = rsa_signed(RS256, claims())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BAD_RS256 = {
    "nothing": "",
    "no signature": GOOD_RS256.rpartition(".")[0],
    "empty signature": GOOD_RS256.rpartition(".")[0] + ".",
    "signature of another token": GOOD_RS256.rpartition(".")[0] + "." + rsa_signed(RS256, {}).rpartition(".")[2],
    "truncated signature": GOOD_RS256[:-5],
    "altered claims": ".".join(
        [GOOD_RS256.split(".")[0], b64(json.dumps(claims(role="ADMIN")).encode()), GOOD_RS256.split(".")[2]]
    ),
    "padded": GOOD_RS256 + "==",
    "a stranger's key": rsa_signed(RS256, claims(), STRANGER),
    "a key of its own inside": rsa_signed(RS256 | {"jwk": {"kty": "RSA"}}, claims(), STRANGER),
    "a key from elsewhere": rsa_signed(RS256 | {"jku": "https://evil.example/keys"}, claims(), STRANGER),
    "a certificate from elsewhere": rsa_signed(RS256 | {"x5u": "https://evil.example/cert"}, claims()),
    "unknown crit": rsa_signed(RS256 | {"crit": ["exp"], "exp": 1}, claims()),
    "alg none": b64(b'{"alg":"none","kid":"known"}') + "." + b64(json.dumps(claims()).encode()) + ".",
    "alg none, signed": rsa_signed(RS256 | {"alg": "none"}, claims()),
    "alg missing": rsa_signed({"typ": "JWT", "kid": "known"}, claims()),
    "alg a list": rsa_signed(RS256 | {"alg": ["RS256"]}, claims()),
    "alg RS512": rsa_signed(RS256 | {"alg": "RS512"}, claims()),
    "alg PS256": rsa_signed(RS256 | {"alg": "PS256"}, claims()),
    "alg HS256 with the public key": signed(RS256 | {"alg": "HS256"}, claims(), key=PUBLIC),
    "alg HS256 with the public key's DER": signed(RS256 | {"alg": "HS256"}, claims(), key=PUBLIC_DER),
    "typ of something else": rsa_signed(RS256 | {"typ": "secevent+jwt"}, claims()),
    "alg twice": rsa_signed('{"alg":"none","kid":"known","alg":"RS256"}', claims()),
    "unknown kid": rsa_signed(RS256 | {"kid": "another"}, claims()),
    "kid a number": rsa_signed(RS256 | {"kid": 1}, claims()),
    "kid a list": rsa_signed(RS256 | {"kid": ["known"]}, claims()),
    "kid null": rsa_signed(RS256 | {"kid": None}, claims()),
    "claims a list": rsa_signed(RS256, ["sub"]),
    "claims deep": rsa_signed(RS256, "[" * 2_500),
    "sub missing": rsa_signed(RS256, claims(sub=...)),
    "role missing": rsa_signed(RS256, claims(role=...)),
    "for somebody else": rsa_signed(RS256, claims(aud="another-platform")),
    "exp missing": rsa_signed(RS256, claims(exp=...)),
    "exp past": rsa_signed(RS256, claims(iat=NOW - 3600, exp=NOW - 1)),
    "exp beyond ten hours": rsa_signed(RS256, claims(exp=NOW + LIFETIME + 3600)),
    "nbf in the future": rsa_signed(RS256, claims(nbf=NOW + 3600)),
}


@pytest.mark.contract("S06", "D10")
@pytest.mark.parametrize("name", sorted(BAD_RS256))
def test_it_is_refused_with_published_keys_too(name: str) -> None:
    verifier = TokenVerifier(settings(JWT_JWKS_URL="http://127.0.0.1:1/jwks"))
    verifier.trust({"known": PUBLIC})
    verifier.verify(GOOD_RS256)
    with pytest.raises(Unauthenticated):
        verifier.verify(BAD_RS256[name])


def test_keys_for_another_use_are_passed_over() -> None:
    issuer = TokenIssuer(settings(), PRIVATE)
    good = issuer.jwks["keys"][0]
    others = [
        {"kty": "EC", "crv": "P-256"},
        {"kty": "oct", "k": "AAAA"},
        good | {"use": "enc"},
        good | {"alg": "RS512"},
    ]
    assert public_keys({"keys": others}) == {}
    assert public_keys({"keys": [*others, good]}).keys() == {good["kid"]}


def test_a_verified_token_is_remembered_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = TokenVerifier(settings())
    token = signed(HEADER, claims())
    assert verifier.cached(token) is None
    verifier.verify(token)
    assert verifier.cached(token) is not None
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)
    assert verifier.cached(token) is None
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


@pytest.mark.contract("D10")
def test_a_secret_may_be_base64_and_an_empty_one_is_refused() -> None:
    encoded = settings(JWT_SECRET="base64:" + base64.b64encode(SECRET.encode()).decode())
    assert TokenVerifier(encoded).verify(GOOD)
    with pytest.raises(ConfigurationError, match="JWT_SECRET"):
        TokenVerifier(settings(JWT_SECRET="base64:"))


@pytest.mark.contract("S12", "X14")
def test_a_wrong_secret_is_told_by_name_and_not_by_value() -> None:
    with capture_logs() as lines, pytest.raises(Unauthenticated):
        TokenVerifier(settings()).verify(BAD["another key"])
    assert lines[0]["event"] == "JWT validation failed"
    assert "JWT_SECRET" in lines[0]["hint"]
    assert SECRET not in str(lines)
    assert "someone@example.com" not in str(lines)
