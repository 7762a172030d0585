"""From a committed row to what a reader sees."""

from monitoring.dashboards.panels import Alarm, Dashboard, Panel, Row
from monitoring.dashboards.queries import gauge, quantile, rate

OUTBOX = Row(
    "Outbox and relay",
    (
        Panel("Events that wait for Kafka", (gauge("outbox_messages", "job"),)),
        Panel(
            "Age of the oldest event that waits",
            (gauge("outbox_oldest_seconds", "job", how="max"),),
            "s",
            alarm=Alarm("OutboxStale", 60),
        ),
        Panel("Passes that ended early", (rate("outbox_failures_total", "job"),), "ops"),
        Panel("Published", (rate("outbox_published_total", "job, topic"),), "ops"),
        Panel(
            "From commit to Kafka's acknowledgement",
            tuple(quantile(q, "outbox_publish_seconds", "job") for q in (0.5, 0.95)),
            "s",
        ),
        Panel("Records sent", (rate("kafka_producer_records_total", "job, result"),), "ops"),
    ),
)

READ_MODEL = Row(
    "Consumers and read model",
    (
        Panel("Messages", (rate("consumer_messages_total", "group, topic, result"),), "ops"),
        Panel(
            "Consumer lag by topic",
            (gauge("consumer_lag", "group, topic"),),
            about="Messages not yet consumed.",
            alarm=Alarm("ConsumerLagHigh", 1000),
        ),
        Panel("Consumer lag by partition", (gauge("consumer_lag", "group, topic, partition", how="max"),)),
        Panel(
            "CQRS latency: from event to read model",
            tuple(quantile(q, "projection_age_seconds", "group, topic") for q in (0.5, 0.95)),
            "s",
            width=16,
            alarm=Alarm("ProjectionStale", 10),
        ),
        Panel("Sinks of analytics", (rate("analytics_sink_events_total", "sink"),), "ops"),
    ),
)

TROUBLE = Row(
    "Trouble",
    (
        Panel("Retries", (rate("consumer_retries_total", "group, topic, reason"),), "ops"),
        Panel(
            "Dead letters",
            (gauge("consumer_dead_letters_total", "group, topic"),),
            about="Since the processes started; `hpctl dlq list` counts what is left.",
        ),
        Panel(
            "Events that skipped a version",
            (gauge("projection_version_leaps_total", "group, topic"),),
            about="Since the processes started. They were applied as any other.",
        ),
    ),
)

EVENTS = Dashboard("events", "Events and read model", (OUTBOX, READ_MODEL, TROUBLE))
