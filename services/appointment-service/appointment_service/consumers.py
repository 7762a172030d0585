"""The appointments' Kafka door: the projection follows the patients."""

from chassis.cache import Cache
from chassis.handlers import Handler
from chassis.received import Received
from chassis.transaction import Transaction
from healthcare_contracts import topics

from appointment_service import projection, service

GROUP = topics.APPOINTMENTS
FOLLOWED = projection.FOLLOWED


def handlers(cache: Cache) -> dict[str, Handler]:
    """Topic → handler."""

    async def patient_changed(event: Received, tx: Transaction) -> None:
        """Also when nothing changed: whoever applied the event may have died before it told the cache."""
        # All in one statement, which is a transaction of its own: BEGIN and COMMIT would be two round trips more.
        await projection.apply(tx.database, event)
        tx.after_commit(service.refresh(cache))

    return {topic.name: patient_changed for topic in FOLLOWED}
