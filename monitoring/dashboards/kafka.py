"""Kafka: what the services that write and read see of it, and what the exporter of docker-compose.yml sees."""

from monitoring.dashboards.panels import Alarm, Dashboard, Panel, Row
from monitoring.dashboards.queries import gauge, rate

SERVICES = Row(
    "As the services see it",
    (
        Panel("Taken in", (rate("kafka_producer_records_total", "job", 'result="acknowledged"'),), "ops"),
        Panel(
            "Not taken in",
            (rate("kafka_producer_records_total", "job", 'result="failed"'),),
            "ops",
            about="Records that the brokers refused or did not acknowledge. Their events stay in the outbox.",
        ),
        Panel("Published by the relays", (rate("outbox_published_total", "job"),), "ops"),
        Panel("Consumed", (rate("consumer_messages_total", "group"),), "ops", width=12),
        Panel(
            "Lag, by the groups' own count",
            (gauge("consumer_lag", "group, topic"),),
            about="Messages not yet consumed.",
            width=12,
            alarm=Alarm("ConsumerLagHigh", 1000),
        ),
    ),
)

EXPORTER = Row(
    "As its exporter sees it",
    (
        Panel(
            "The brokers answer",
            (gauge("kafka_lag_exporter_up", "instance", how="min"),),
            about="1, or 0 after three rounds of questions without an answer (InfrastructureDown).",
        ),
        Panel("Written", (rate("kafka_partition_latest_offset", "topic"),), "ops"),
        Panel(
            "State of a group",
            (gauge("kafka_consumergroup_group_state", "group", how="max"),),
            about="3 is stable, 5 has no members, 1 and 2 share out the partitions anew.",
        ),
        Panel(
            "Lag by group",
            (gauge("kafka_consumergroup_group_sum_lag", "group"),),
            about="Messages not yet committed; counted also while the group's processes are dead.",
            width=12,
        ),
        Panel(
            "How far a group is behind",
            (gauge("kafka_consumergroup_group_max_lag_seconds", "group", how="max"),),
            "s",
            about="Estimated from how fast the topic grew.",
            width=12,
        ),
    ),
)

KAFKA = Dashboard("kafka", "Kafka", (SERVICES, EXPORTER))
