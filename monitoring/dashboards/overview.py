"""Each service at a glance."""

from monitoring.dashboards.panels import Alarm, Dashboard, Panel, Query, Row
from monitoring.dashboards.queries import average, gauge, quantile, rate

OF = 'job=~"$service"'


def _now(title: str, expression: str, unit: str, alarm: Alarm | None = None, about: str = "") -> Panel:
    return Panel(title, (Query(expression),), unit, about, kind="stat", width=4, alarm=alarm)


GLANCE = Row(
    "The platform at a glance",
    (
        _now("Requests at the gateway", "sum(rate(gateway_requests_total[$__rate_interval]))", "reqps"),
        _now(
            "Failed, five minutes",
            "max(job:gateway_errors:ratio_rate5m)",
            "percentunit",
            Alarm("ErrorBudgetBurnsFast", 0.0144),
        ),
        _now(
            "Slowest route, 99 of 100",
            'max(route:gateway_request_duration_seconds:p99_5m{route!="auth"})',
            "s",
            Alarm("LatencyHigh", 0.5),
            "Without logins, which are slow by design.",
        ),
        _now(
            "Read model behind by",
            "max(group_topic:projection_age_seconds:p95_5m)",
            "s",
            Alarm("ProjectionStale", 10),
            "95 of 100 events.",
        ),
        _now("Oldest event that waits", "max(outbox_oldest_seconds)", "s", Alarm("OutboxStale", 60)),
        _now(
            "Dead letters, 15 minutes",
            "sum(increase(consumer_dead_letters_total[15m]))",
            "short",
            Alarm("DeadLetters", 0),
        ),
    ),
    height=4,
)

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
        Panel(
            "Event loop lag",
            (quantile(0.99, "event_loop_lag_seconds", "job", OF),),
            "s",
            alarm=Alarm("EventLoopBlocked", 0.25),
        ),
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
            alarm=Alarm("DatabasePoolExhausted", 0.9),
        ),
        Panel("Wait for a connection", (quantile(0.95, "db_pool_wait_seconds", "database", OF),), "s"),
    ),
)

OVERVIEW = Dashboard("overview", "Overview per service", (GLANCE, TRAFFIC, PROCESS, DATABASE), by_service=True)
