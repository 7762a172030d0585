"""The users' HTTP door."""

from typing import Annotated, Any

from chassis.auth import Principal, Requires, allows, principal
from chassis.db import Reads
from chassis.errors import Forbidden
from chassis.http import JsonResponse
from chassis.openapi import CONFLICT, Responses
from chassis.proxies import client_of
from fastapi import APIRouter, Depends, Request, Response

from auth_service import queries, service
from auth_service.schemas import Credentials, KeysRead, TokenRead, UserCreate, UserRead, ValidityRead
from auth_service.throttle import Caller

router = APIRouter(tags=["auth"])

MAYBE: dict[str, Any] = {"security": [{}, {"bearer": []}]}
LOGIN: Responses = {
    401: {"description": "not this email and password"},
    429: {"description": "too many logins of this account have failed; Retry-After says how long it pauses"},
    503: {"description": "too many logins at once; Retry-After says when to try again"},
}
FORBIDDEN: Responses = {403: {"description": "it takes an ADMIN's token: for that role, or for every registration"}}


async def _may_register(request: Request, new: UserCreate) -> UserCreate:
    """Open registration makes USERs; everything else needs an ADMIN."""
    closed = request.app.state.settings.registration == "admin"
    if new.role != "USER" and "authorization" not in request.headers:
        raise Forbidden
    if (closed or new.role != "USER") and not allows(request, await principal(request), "users:register-admin"):
        raise Forbidden
    return new


def _caller(request: Request, email: str) -> Caller:
    return Caller.of(queries.key_of(email), client_of(request))


@router.post("/auth/login", operation_id="login", responses=LOGIN)
async def login(request: Request, credentials: Credentials, reads: Reads) -> TokenRead:
    """A token for ten hours."""
    state = request.app.state
    return await service.log_in(reads, state.passwords, state.issuer, credentials, _caller(request, credentials.email))


@router.post(
    "/auth/register", status_code=201, operation_id="register", openapi_extra=MAYBE, responses=CONFLICT | FORBIDDEN
)
async def register(request: Request, new: Annotated[UserCreate, Depends(_may_register)], reads: Reads) -> UserRead:
    """A new user."""
    passwords = request.app.state.passwords
    caller = _caller(request, str(new.email))
    async with passwords.turn(caller):
        hashed = await passwords.hash(new.password)
    async with reads.transaction(tolerant=True) as tx:
        user = await service.register(tx, new, hashed)
    passwords.throttle.registered(caller)
    return user


@router.get("/auth/me", operation_id="me")
async def me(who: Annotated[Principal, Requires()], reads: Reads) -> UserRead:
    """Who the token names."""
    return await queries.me(reads, who.subject)


@router.get("/auth/validate", operation_id="validate")
@router.get("/validate", include_in_schema=False)
async def validate(who: Annotated[Principal, Requires()]) -> ValidityRead:
    """200 for a token that counts, 401 otherwise."""
    return ValidityRead(valid=True, role=who.role)


@router.get("/.well-known/jwks.json", response_model=KeysRead, operation_id="jwks")
async def jwks(request: Request) -> Response:
    """The public keys that tokens are signed with (RFC 7517); none with HS256."""
    return JsonResponse(request.app.state.issuer.jwks, headers={"Cache-Control": "public, max-age=300"})
