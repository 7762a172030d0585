"""The patients' HTTP door."""

from typing import Annotated
from uuid import UUID

from chassis.auth import Principal, Requires
from chassis.cache import Cache
from chassis.conditional import DOCUMENTED, Conditional, conditions
from chassis.db import InTransaction, Reads
from chassis.errors import FieldError, Invalid
from chassis.http import JsonResponse, prefix
from chassis.inputs import Email, Plain
from chassis.openapi import CONFLICT, CREATED
from chassis.paging import PageRequest, Paging
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from patient_service import queries, service
from patient_service.models import BillingStatus
from patient_service.queries import PatientFilters
from patient_service.registration import Registrations
from patient_service.schemas import Day, PatientCreate, PatientPage, PatientRead, PatientUpdate, patient_json

router = APIRouter(prefix="/patients", tags=["patients"])


async def _cache(request: Request) -> Cache:
    cache: Cache = request.app.state.cache
    return cache


async def _registrations(request: Request) -> Registrations:
    registrations: Registrations = request.app.state.registrations
    return registrations


Reader = Annotated[Principal, Requires("patients:read")]
Writer = Annotated[Principal, Requires("patients:write")]
Deleter = Annotated[Principal, Requires("patients:delete")]
Cached = Annotated[Cache, Depends(_cache)]
WORDS = "words of the name in any order; case, accents, apostrophes and hyphens do not matter"
Words = Annotated[str, Field(max_length=100), Plain]
Number = Annotated[str, Field(max_length=64), Plain]


async def _filters(
    search: Annotated[Words | None, Query(description=WORDS)] = None,
    search_value: Annotated[Words | None, Query(alias="searchValue", description="the same as search")] = None,
    email: Annotated[Email | None, Query(description="the address, however it is written")] = None,
    phone: Annotated[Number | None, Query(description="the number, by its digits alone")] = None,
    date_of_birth: Annotated[Day | None, Query(alias="dateOfBirth", description="the date of birth")] = None,
    billing_status: Annotated[BillingStatus | None, Query(alias="billingStatus", description="the state")] = None,
) -> PatientFilters:
    if search is not None and search_value is not None:
        raise Invalid([FieldError("searchValue", "must not be given together with search")])
    words = search_value if search is None else search
    return PatientFilters(words, email, phone, date_of_birth, billing_status)


@router.get("", response_model=PatientPage, operation_id="listPatients")
async def list_patients(
    who: Reader,
    page: Annotated[PageRequest, Depends(Paging(queries.SORTABLE))],
    filters: Annotated[PatientFilters, Depends(_filters)],
    reads: Reads,
) -> Response:
    """A page of patients, of those that all filters let through."""
    return JsonResponse(await queries.list_patients(reads, page, filters))


@router.get("/{id}", response_model=PatientRead, operation_id="getPatient", openapi_extra=DOCUMENTED)
async def read_patient(request: Request, id: UUID, who: Reader) -> Response:
    """One patient; 304 when the client has it already."""
    # The hottest route: what can be taken from the request is not injected.
    state = request.app.state
    version, body = await queries.one_patient(state.database, state.cache, id)
    if conditions(request).spared(version):
        return Response(status_code=304, headers={"ETag": f'"{version}"'})
    return JsonResponse(body, etag=version)


@router.post("", status_code=201, response_model=PatientRead, operation_id="createPatient", responses=CREATED)
async def create_patient(
    request: Request, who: Writer, new: PatientCreate, registrations: Annotated[Registrations, Depends(_registrations)]
) -> Response:
    """Registers a patient; its billing account follows."""
    row = await registrations.register_patient(new)
    location = f"{prefix(request)}/patients/{row['id']}"
    return JsonResponse(patient_json(row), 201, etag=row["version"], headers={"Location": location})


@router.put(
    "/{id}",
    response_model=PatientRead,
    operation_id="replacePatient",
    responses=CONFLICT,
    openapi_extra=DOCUMENTED,
)
async def update_patient(
    id: UUID, who: Writer, change: PatientUpdate, cache: Cached, conditions: Conditional, tx: InTransaction
) -> Response:
    """Replaces a patient."""
    row = await service.update_patient(tx, cache, id, change, conditions)
    return JsonResponse(patient_json(row), etag=row["version"])


@router.delete("/{id}", status_code=204, operation_id="deletePatient", openapi_extra=DOCUMENTED)
async def delete_patient(id: UUID, who: Deleter, cache: Cached, conditions: Conditional, tx: InTransaction) -> Response:
    """Removes a patient everywhere."""
    await service.delete_patient(tx, cache, id, conditions)
    return Response(status_code=204)
