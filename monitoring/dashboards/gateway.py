"""The edge: what comes in, what is refused, what the services behind it do."""

from monitoring.dashboards.panels import Alarm, Dashboard, Panel, Query, Row
from monitoring.dashboards.queries import average, gauge, quantile, rate

FAILED = 'status=~"5.."'

TRAFFIC = Row(
    "Traffic",
    (
        Panel("Requests per second by route", (rate("gateway_requests_total", "route"),), "reqps"),
        Panel("Answers by status", (rate("gateway_requests_total", "status"),), "reqps"),
        Panel(
            "5xx ratio",
            (
                Query(
                    f"sum by (route) (rate(gateway_requests_total{{{FAILED}}}[$__rate_interval]))"
                    " / sum by (route) (rate(gateway_requests_total[$__rate_interval]))",
                    "{{route}}",
                ),
                Query("job:gateway_errors:ratio_rate5m", "all, five minutes"),
            ),
            "percentunit",
            alarm=Alarm("ErrorBudgetBurnsFast", 0.0144),
        ),
        Panel("Average request time by route", (average("gateway_request_duration_seconds", "route"),), "s", width=12),
        Panel(
            "Latency by route",
            tuple(quantile(q, "gateway_request_duration_seconds", "route") for q in (0.5, 0.95, 0.99)),
            "s",
            width=12,
            alarm=Alarm("LatencyHigh", 0.5),
        ),
    ),
)

LIMITS = Row(
    "Limits and connections",
    (
        Panel("Rate-limit decisions", (rate("gateway_limit_decisions_total", "decision"),), "reqps"),
        Panel("Refused by route", (rate("gateway_limit_decisions_total", "route", 'decision="refused"'),), "reqps"),
        Panel(
            "Client connections",
            (
                Query("sum(gateway_client_connections)", "open"),
                rate("gateway_client_connection_events_total", "event", 'event="accepted"', "{{event}} per second"),
            ),
        ),
    ),
)

UPSTREAM = Row(
    "Services behind it",
    (
        Panel("Connections to services", (gauge("gateway_upstream_connections", "upstream, state"),)),
        Panel("Requests under way", (gauge("gateway_upstream_in_flight", "upstream"),)),
        Panel(
            "Failures and retries",
            (
                rate("gateway_upstream_failures_total", "upstream", legend="{{upstream}} failed"),
                rate("gateway_upstream_retries_total", "upstream", legend="{{upstream}} tried again"),
            ),
            "ops",
        ),
        Panel(
            "Breakers that are not closed",
            (gauge("circuit_breaker_state", "job, name, state", 'state!="closed"', how="max"),),
            about="1 while the breaker is in that state.",
            alarm=Alarm("BreakerOpen", 1),
        ),
        Panel("Calls through breakers", (rate("circuit_breaker_calls_total", "name, result"),), "ops"),
        Panel("Changes of state", (rate("circuit_breaker_transitions_total", "name, to"),), "ops"),
    ),
)

GATEWAY = Dashboard("gateway", "Gateway", (TRAFFIC, LIMITS, UPSTREAM))
