"""The appointments' HTTP door."""

from typing import Annotated
from uuid import UUID

from chassis.auth import Principal, Requires
from chassis.cache import Cache
from chassis.conditional import DOCUMENTED, Conditional
from chassis.db import InTransaction, Reads
from chassis.http import JsonResponse, prefix
from chassis.openapi import CONFLICT, CREATED
from chassis.paging import PageRequest, Paging
from fastapi import APIRouter, Depends, Query, Request, Response

from appointment_service import queries, service
from appointment_service.models import Status
from appointment_service.queries import AppointmentFilters
from appointment_service.schemas import (
    AppointmentCreate,
    AppointmentPage,
    AppointmentRead,
    AppointmentUpdate,
)
from appointment_service.times import QueryMoment, QueryOverlap

router = APIRouter(prefix="/appointments", tags=["appointments"])


async def _cache(request: Request) -> Cache:
    cache: Cache = request.app.state.cache
    return cache


async def _filters(
    patient_id: Annotated[UUID | None, Query(alias="patientId", description="those of this patient")] = None,
    status: Annotated[
        list[Status] | None, Query(max_length=len(Status), description="those in one of these states")
    ] = None,
    since: Annotated[
        QueryMoment | None, Query(alias="from", description="those that begin then or later; a date is its whole day")
    ] = None,
    until: Annotated[
        QueryMoment | None, Query(alias="to", description="those that begin then or earlier; a date is its whole day")
    ] = None,
    overlaps: Annotated[
        QueryOverlap | None,
        Query(description="those that share time with <from>/<to>, a day or a second; not together with from or to"),
    ] = None,
) -> AppointmentFilters:
    return AppointmentFilters(patient_id, None if status is None else frozenset(status), since, until, overlaps)


Reader = Annotated[Principal, Requires("appointments:read")]
Writer = Annotated[Principal, Requires("appointments:write")]
Cached = Annotated[Cache, Depends(_cache)]


@router.get("", response_model=AppointmentPage, operation_id="listAppointments")
async def list_appointments(
    who: Reader,
    page: Annotated[PageRequest, Depends(Paging(queries.SORTABLE))],
    filters: Annotated[AppointmentFilters, Depends(_filters)],
    cache: Cached,
    reads: Reads,
) -> Response:
    """A page of appointments with their patients, of those that all filters let through."""
    return JsonResponse(await queries.list_appointments(reads, cache, page, filters))


@router.get("/{id}", response_model=AppointmentRead, operation_id="getAppointment", openapi_extra=DOCUMENTED)
async def read_appointment(id: UUID, who: Reader, cache: Cached, reads: Reads, conditions: Conditional) -> Response:
    """One appointment with its patient."""
    tag, body = await queries.one_appointment(reads, cache, id)
    if conditions.spared(tag):
        return Response(status_code=304, headers={"ETag": f'"{tag}"'})
    return JsonResponse(body, etag=tag)


@router.post("", status_code=201, response_model=AppointmentRead, operation_id="createAppointment", responses=CREATED)
async def create_appointment(
    request: Request, who: Writer, new: AppointmentCreate, cache: Cached, tx: InTransaction
) -> Response:
    """Books an appointment."""
    id = await service.book_appointment(tx, cache, new)
    tag, body = await queries.fresh_appointment(tx, id)
    return JsonResponse(body, 201, etag=tag, headers={"Location": f"{prefix(request)}/appointments/{id}"})


@router.put(
    "/{id}",
    response_model=AppointmentRead,
    operation_id="replaceAppointment",
    responses=CONFLICT,
    openapi_extra=DOCUMENTED,
)
async def update_appointment(
    id: UUID, who: Writer, change: AppointmentUpdate, cache: Cached, conditions: Conditional, tx: InTransaction
) -> Response:
    """Replaces an appointment."""
    await service.change_appointment(tx, cache, id, change, conditions)
    tag, body = await queries.fresh_appointment(tx, id)
    return JsonResponse(body, etag=tag)


@router.delete("/{id}", status_code=204, operation_id="deleteAppointment", openapi_extra=DOCUMENTED)
async def delete_appointment(
    id: UUID, who: Writer, cache: Cached, conditions: Conditional, tx: InTransaction
) -> Response:
    """Removes an appointment."""
    await service.cancel_appointment(tx, cache, id, conditions)
    return Response(status_code=204)
