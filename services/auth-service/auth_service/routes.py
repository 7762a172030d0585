"""The users' HTTP door."""

from typing import Annotated

from chassis.auth import Principal, Requires, allows, principal
from chassis.db import Reads
from chassis.errors import Forbidden
from chassis.http import JsonResponse
from fastapi import APIRouter, Depends, Request, Response

from auth_service import service
from auth_service.schemas import Credentials, TokenRead, UserCreate, UserRead

router = APIRouter(tags=["auth"])


async def _may_register(request: Request, new: UserCreate) -> UserCreate:
    """Open registration makes USERs; everything else needs an ADMIN."""
    closed = request.app.state.settings.registration == "admin"
    if new.role != "USER" and "authorization" not in request.headers:
        raise Forbidden
    if (closed or new.role != "USER") and not allows(request, principal(request), "users:register-admin"):
        raise Forbidden
    return new


@router.post("/auth/login", operation_id="login")
async def login(request: Request, credentials: Credentials, reads: Reads) -> TokenRead:
    """A token for ten hours."""
    state = request.app.state
    return await service.log_in(reads, state.passwords, state.issuer, credentials)


@router.post("/auth/register", status_code=201, operation_id="register")
async def register(request: Request, new: Annotated[UserCreate, Depends(_may_register)], reads: Reads) -> UserRead:
    """A new user."""
    hashed = await request.app.state.passwords.hash(new.password)
    async with reads.transaction(tolerant=True) as tx:
        return await service.register(tx, new, hashed)


@router.get("/auth/me", operation_id="me")
async def me(who: Annotated[Principal, Requires()], reads: Reads) -> UserRead:
    """Who the token names."""
    return await service.me(reads, who.subject)


@router.get("/auth/validate", operation_id="validate")
@router.get("/validate", include_in_schema=False)
async def validate(who: Annotated[Principal, Requires()]) -> dict[str, str | bool]:
    """200 for a token that counts, 401 otherwise."""
    return {"valid": True, "role": who.role}


@router.get("/.well-known/jwks.json", operation_id="jwks")
async def jwks(request: Request) -> Response:
    """The public keys that tokens are signed with (RFC 7517); none with HS256."""
    return JsonResponse(request.app.state.issuer.jwks, headers={"Cache-Control": "public, max-age=300"})
