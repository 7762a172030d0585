"""Billing's gRPC door: CreateAccount."""

import grpc.aio
from chassis.db import Database
from healthcare_contracts.billing_service_pb2 import CreateAccountRequest, CreateAccountResponse
from healthcare_contracts.billing_service_pb2_grpc import BillingServiceServicer, add_BillingServiceServicer_to_server

from billing_service import service
from billing_service.schemas import AccountCreate

SERVICE = "billing.BillingService"


class BillingRpc(BillingServiceServicer):
    """The servicer; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        add_BillingServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]  # generated

    async def CreateAccount(
        self, request: CreateAccountRequest, context: grpc.aio.ServicerContext
    ) -> CreateAccountResponse:
        """CREATED the first time, EXISTS after; INVALID_ARGUMENT names the first bad field."""
        wanted = AccountCreate.read(request)
        async with self._database.transaction() as tx:
            opening = await service.open_account(tx, wanted.patient_id)
        return CreateAccountResponse(
            accountId=str(opening.account_id), status="CREATED" if opening.created else "EXISTS"
        )
