"""The topics, in one place: what each carries and how it is keyed, who writes and who reads it, how long it lasts."""

from dataclasses import dataclass, field

DAY_MS = 86_400_000
DEAD_LETTER_DAYS = 14
DEAD_LETTER_BYTES = 2_097_152
"""The largest message that the brokers take elsewhere (1 MiB), and room for the headers that say why it died."""
NOBODY = "00000000-0000-0000-0000-000000000000"
"""The key of an audit event about no user that we know."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic by its bare name.

    `types` are the event types it carries; `producers` are the services that write them, and the only ones that may.
    `groups` are the consumer groups that read it and so have a dead-letter topic each. The key of a record is the UUID
    in the member `key_field` of its `data`, as lower-case text with hyphens; where `data` has none it is `absent_key`,
    and without an `absent_key` there is no such record. A compacted topic keeps the last event of every key for ever:
    a projection can be rebuilt from offset 0.
    """

    name: str
    types: tuple[str, ...]
    groups: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()
    key_field: str = "patientId"
    absent_key: str | None = None
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


PATIENT_SERVICE = "patient-service"
APPOINTMENT_SERVICE = "appointment-service"
BILLING_SERVICE = "billing-service"
AUTH_SERVICE = "auth-service"
ANALYTICS_SERVICE = "analytics-service"

APPOINTMENTS = "appointments-cg"
PATIENTS = "patient-service"
BILLING = "billing-service"
ANALYTICS = "analytics-service"

GROUPS = {
    PATIENT_SERVICE: PATIENTS,
    APPOINTMENT_SERVICE: APPOINTMENTS,
    BILLING_SERVICE: BILLING,
    ANALYTICS_SERVICE: ANALYTICS,
}
"""Service → its consumer group; auth-service reads nothing."""

PATIENT_CREATED = Topic(
    "patient.created", ("patient.created",), (APPOINTMENTS, ANALYTICS), (PATIENT_SERVICE,), compacted=True
)
PATIENT_UPDATED = Topic(
    "patient.updated", ("patient.updated",), (APPOINTMENTS, PATIENTS, ANALYTICS), (PATIENT_SERVICE,), compacted=True
)
PATIENT_DELETED = Topic(
    "patient.deleted",
    ("patient.deleted",),
    (APPOINTMENTS, PATIENTS, BILLING, ANALYTICS),
    (PATIENT_SERVICE,),
    compacted=True,
)
BILLING_ACCOUNT = Topic(
    "billing-account",
    ("billing.account.requested", "billing.account.created"),
    (BILLING, PATIENTS, ANALYTICS),
    (PATIENT_SERVICE, BILLING_SERVICE),
)
APPOINTMENT_BOOKED = Topic("appointment.booked", ("appointment.booked",), (ANALYTICS,), (APPOINTMENT_SERVICE,))
APPOINTMENT_UPDATED = Topic("appointment.updated", ("appointment.updated",), (ANALYTICS,), (APPOINTMENT_SERVICE,))
APPOINTMENT_CANCELLED = Topic("appointment.cancelled", ("appointment.cancelled",), (ANALYTICS,), (APPOINTMENT_SERVICE,))
AUTH_AUDIT = Topic(
    "auth.audit",
    ("auth.login.succeeded", "auth.login.failed", "auth.user.registered"),
    (ANALYTICS,),
    (AUTH_SERVICE,),
    key_field="userId",
    absent_key=NOBODY,
    retention_days=30,
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
REPLAYS = tuple(
    Topic(
        f"{group}.replay",
        (),
        (group,),
        (service,),
        retention_days=DEAD_LETTER_DAYS,
        partitions=1,
        largest_bytes=DEAD_LETTER_BYTES,
    )
    for service, group in GROUPS.items()
)
"""Where each group reads the dead letters that were replayed; its own service alone writes there."""
ALL_TOPICS = (*TOPICS, *REPLAYS, *(dead for topic in (*TOPICS, *REPLAYS) for dead in topic.dead_letters()))
