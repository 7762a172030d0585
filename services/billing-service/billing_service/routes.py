"""Billing's HTTP door."""

from typing import Annotated
from uuid import UUID

from chassis.auth import Principal, Requires
from chassis.db import Reads
from fastapi import APIRouter

from billing_service import queries
from billing_service.schemas import AccountRead

router = APIRouter(prefix="/billing", tags=["billing"])


@router.get("/accounts/{patientId}", operation_id="getBillingAccount")
async def read_account(
    patientId: UUID,
    who: Annotated[Principal, Requires("billing:read")],
    reads: Reads,
) -> AccountRead:
    """A patient's billing account; 404 when there is none."""
    return await queries.account_of(reads, patientId)
