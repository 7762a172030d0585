"""The topics, in one place: what each carries, how long it keeps it, and who reads it."""

from dataclasses import dataclass, field

DAY_MS = 86_400_000
DEAD_LETTER_DAYS = 14
DEAD_LETTER_BYTES = 2_097_152
"""The largest message that the brokers take elsewhere (1 MiB), and room for the headers that say why it died."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic by its bare name.

    `types` are the event types it carries; `groups` are the consumer groups that read it and so have a dead-letter
    topic each. A compacted topic keeps the last event of every key for ever: a projection can be rebuilt from
    offset 0.
    """

    name: str
    types: tuple[str, ...]
    groups: tuple[str, ...] = ()
    compacted: bool = False
    retention_days: int = 7
    partitions: int | None = None
    largest_bytes: int | None = None
    config: dict[str, str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Kafka's own names for it."""
        compact = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": str(DAY_MS)}
        delete = {"cleanup.policy": "delete", "retention.ms": str(self.retention_days * DAY_MS)}
        room = {"max.message.bytes": str(self.largest_bytes)} if self.largest_bytes else {}
        object.__setattr__(self, "config", (compact if self.compacted else delete) | room)

    def dead_letters(self) -> list["Topic"]:
        """`<topic>.<group>.dlq` of each group that reads it."""
        return [
            Topic(
                f"{self.name}.{group}.dlq",
                self.types,
                retention_days=DEAD_LETTER_DAYS,
                partitions=1,
                largest_bytes=DEAD_LETTER_BYTES,
            )
            for group in self.groups
        ]


APPOINTMENTS = "appointments-cg"
PATIENTS = "patient-service"
BILLING = "billing-service"
ANALYTICS = "analytics-service"

PATIENT_CREATED = Topic("patient.created", ("patient.created",), (APPOINTMENTS, ANALYTICS), compacted=True)
PATIENT_UPDATED = Topic("patient.updated", ("patient.updated",), (APPOINTMENTS, PATIENTS, ANALYTICS), compacted=True)
PATIENT_DELETED = Topic(
    "patient.deleted", ("patient.deleted",), (APPOINTMENTS, PATIENTS, BILLING, ANALYTICS), compacted=True
)
BILLING_ACCOUNT = Topic(
    "billing-account", ("billing.account.requested", "billing.account.created"), (BILLING, PATIENTS, ANALYTICS)
)
APPOINTMENT_BOOKED = Topic("appointment.booked", ("appointment.booked",), (ANALYTICS,))
APPOINTMENT_UPDATED = Topic("appointment.updated", ("appointment.updated",), (ANALYTICS,))
APPOINTMENT_CANCELLED = Topic("appointment.cancelled", ("appointment.cancelled",), (ANALYTICS,))
AUTH_AUDIT = Topic(
    "auth.audit", ("auth.login.succeeded", "auth.login.failed", "auth.user.registered"), (ANALYTICS,), retention_days=30
)

TOPICS = (
    PATIENT_CREATED,
    PATIENT_UPDATED,
    PATIENT_DELETED,
    BILLING_ACCOUNT,
    APPOINTMENT_BOOKED,
    APPOINTMENT_UPDATED,
    APPOINTMENT_CANCELLED,
    AUTH_AUDIT,
)
ALL_TOPICS = (*TOPICS, *(dead for topic in TOPICS for dead in topic.dead_letters()))
