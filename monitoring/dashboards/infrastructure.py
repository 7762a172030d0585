"""The servers behind the services, as their exporters see them."""

from monitoring.dashboards.panels import Dashboard, Panel, Query, Row
from monitoring.dashboards.queries import gauge, rate

POSTGRES = Row(
    "PostgreSQL",
    (
        Panel("Transactions", (rate("pg_stat_database_xact_commit", "datname", 'datname!~"template.*|"'),), "ops"),
        Panel("Sessions", (gauge("pg_stat_database_numbackends", "datname", 'datname!~"template.*|"'),)),
        Panel("Rows written", (rate("pg_stat_database_tup_inserted", "datname", 'datname!~"template.*|"'),), "ops"),
    ),
)

REDIS = Row(
    "Redis",
    (
        Panel("Memory in use", (gauge("redis_memory_used_bytes", "instance"),), "bytes"),
        Panel("Commands", (rate("redis_commands_processed_total", "instance"),), "ops"),
        Panel(
            "Keyspace hits and misses",
            (
                rate("redis_keyspace_hits_total", "instance", legend="hits"),
                rate("redis_keyspace_misses_total", "instance", legend="misses"),
            ),
            "ops",
        ),
    ),
)

MACHINE = Row(
    "Machine",
    (
        Panel("CPU", (rate("node_cpu_seconds_total", "mode", 'mode!="idle"'),), about="Cores in use."),
        Panel("Memory available", (gauge("node_memory_MemAvailable_bytes", "instance"),), "bytes"),
        Panel("Disk written", (rate("node_disk_written_bytes_total", "instance"),), "Bps"),
        Panel(
            "Free disk",
            (
                Query(
                    'min by (mountpoint) (node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|ramfs"})',
                    "{{mountpoint}}",
                ),
            ),
            "bytes",
            width=24,
        ),
    ),
)

INFRASTRUCTURE = Dashboard("infrastructure", "Infrastructure", (POSTGRES, REDIS, MACHINE))
