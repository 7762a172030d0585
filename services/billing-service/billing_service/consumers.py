"""Billing's Kafka door: accounts asked for by event, and patients who are gone."""

from chassis.handlers import Handler
from chassis.received import Received
from chassis.transaction import Transaction
from healthcare_contracts import topics
from healthcare_contracts.events import BillingAccountRequestedData, PatientDeletedData

from billing_service import service

GROUP = topics.BILLING


async def account_event(event: Received, tx: Transaction) -> None:
    """`billing.account.requested` opens the account; what billing itself says on the topic is nothing new to it."""
    if event.type == "billing.account.requested":
        wanted = BillingAccountRequestedData.model_validate(event.data)
        await service.open_account(tx, wanted.patient_id)


async def patient_deleted(event: Received, tx: Transaction) -> None:
    """`patient.deleted` closes the account."""
    await service.close_account(tx, PatientDeletedData.model_validate(event.data).patient_id)


HANDLERS: dict[str, Handler] = {
    topics.BILLING_ACCOUNT.name: account_event,
    topics.PATIENT_DELETED.name: patient_deleted,
}
