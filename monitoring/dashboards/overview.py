"""Each service at a glance."""

from monitoring.dashboards.panels import Dashboard, Panel, Query, Row
from monitoring.dashboards.queries import average, gauge, quantile, rate

OF = 'job=~"$service"'

TRAFFIC = Row(
    "Traffic",
    (
        Panel(
            "Requests per second",
            (
                rate("http_requests_total", "job", OF),
                rate("gateway_requests_total", "job", OF, "{{job}} (through)"),
            ),
            "reqps",
            "What a service answers itself; of the gateway, what it hands on.",
        ),
        Panel("5xx rate", (rate("http_requests_total", "job, status", f'{OF}, status=~"5.."'),), "reqps"),
        Panel("Answers by status", (rate("http_requests_total", "status", OF),), "reqps"),
        Panel("Average request time", (average("http_request_duration_seconds", "job", OF),), "s"),
        Panel(
            "Average latency by endpoint",
            (average("http_request_duration_seconds", "job, method, handler", OF),),
            "s",
            width=16,
        ),
        Panel(
            "Latency",
            tuple(quantile(q, "http_request_duration_seconds", "job", OF) for q in (0.5, 0.95, 0.99)),
            "s",
            width=12,
        ),
        Panel("Requests by endpoint", (rate("http_requests_total", "job, method, handler", OF),), "reqps", width=12),
    ),
)

PROCESS = Row(
    "Process",
    (
        Panel("Processes that answer", (gauge("up", "job", OF),)),
        Panel("Memory", (gauge("process_resident_memory_bytes", "job", OF),), "bytes"),
        Panel("CPU", (rate("process_cpu_seconds_total", "job", OF),), "short", "Cores in use."),
        Panel("Event loop lag", (quantile(0.99, "event_loop_lag_seconds", "job", OF),), "s"),
        Panel("Open file descriptors", (gauge("process_open_fds", "job", OF),)),
        Panel("Uptime", (Query(f"min by (job) (time() - process_start_time_seconds{{{OF}}})", "{{job}}"),), "s"),
    ),
)

DATABASE = Row(
    "Database",
    (
        Panel(
            "Database connections",
            (
                gauge("db_pool_connections", "database", OF, "{{database}} open"),
                gauge("db_pool_connections_in_use", "database", OF, "{{database}} in use"),
            ),
        ),
        Panel(
            "Share of the pool in use",
            (
                Query(
                    f"max by (database) (db_pool_connections_in_use{{{OF}}} / db_pool_connections_max{{{OF}}})",
                    "{{database}}",
                ),
            ),
            "percentunit",
        ),
        Panel("Wait for a connection", (quantile(0.95, "db_pool_wait_seconds", "database", OF),), "s"),
    ),
)

OVERVIEW = Dashboard("overview", "Overview per service", (TRAFFIC, PROCESS, DATABASE), by_service=True)
