"""The patients' Kafka door: the cache follows the topics on every replica, and billing's answers arrive."""

from uuid import UUID

from chassis.cache import Cache
from chassis.handlers import Handler
from chassis.received import Received
from chassis.transaction import Transaction
from healthcare_contracts import topics
from healthcare_contracts.events import BillingAccountCreatedData, PatientDeletedData

from patient_service import accounts, service

GROUP = topics.PATIENTS


def handlers(cache: Cache) -> dict[str, Handler]:
    """Topic → handler."""

    async def patient_changed(event: Received, tx: Transaction) -> None:
        """The replica that wrote has evicted the entry, unless it is of a release that records no evictions."""
        patient_id: UUID = PatientDeletedData.model_validate(event.data).patient_id
        tx.after_commit(service.evict(cache, [patient_id]))

    async def billing_account(event: Received, tx: Transaction) -> None:
        """`billing.account.created` makes the patient ACTIVE; requests are our own voice."""
        if event.type == "billing.account.created":
            created = BillingAccountCreatedData.model_validate(event.data)
            await accounts.activate(tx, cache, [created.patient_id])

    return {
        topics.PATIENT_UPDATED.name: patient_changed,
        topics.PATIENT_DELETED.name: patient_changed,
        topics.BILLING_ACCOUNT.name: billing_account,
    }
