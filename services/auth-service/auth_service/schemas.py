"""What goes over the wire: credentials in, users and tokens out."""

from typing import Annotated, Literal
from uuid import UUID

from chassis.inputs import Email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 72


def _password(text: str) -> str:
    if len(text) < SHORTEST_PASSWORD:
        raise ValueError(f"must have at least {SHORTEST_PASSWORD} characters")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # its words quote the password
        raise ValueError("must be text") from None
    # bcrypt reads 72 bytes; cutting the rest off silently would make two passwords one.
    if size > LONGEST_PASSWORD:
        raise ValueError(f"must have at most {LONGEST_PASSWORD} bytes")
    if "\0" in text:
        raise ValueError("must not have control characters")
    return text


class Credentials(BaseModel):
    """A login. Nothing but the length is checked: what is wrong with it is nobody's business."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"email": "testuser@test.com", "password": "password123"}]},
    )

    email: Annotated[str, Field(min_length=1, max_length=255)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class UserCreate(BaseModel):
    """A registration; a role other than USER needs an ADMIN's token."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        str_strip_whitespace=False,
        json_schema_extra={"examples": [{"email": "ada@example.com", "password": "a-long-passphrase"}]},
    )

    email: Email
    password: Annotated[str, AfterValidator(_password)]
    role: Literal["USER", "ADMIN"] = "USER"


class UserRead(BaseModel):
    """A user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "019e3a3c-7a10-7c3e-9b1f-0c5a3f6b2d11", "email": "ada@example.com", "role": "USER"}]
        }
    )

    id: UUID
    email: str
    role: str


class ValidityRead(BaseModel):
    """A token that counts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"valid": True, "role": "USER"}]})

    valid: bool
    role: str


class KeysRead(BaseModel):
    """A set of public keys (RFC 7517); for the documents."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"keys": []}]})

    keys: list[dict[str, str]]


class TokenRead(BaseModel):
    """A login's answer; `expiresIn` is in seconds."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "eyJhbGciOi…", "tokenType": "Bearer", "expiresIn": 36000}]}
    )

    token: str
    tokenType: Literal["Bearer"] = "Bearer"
    expiresIn: int
