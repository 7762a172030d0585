"""What is read from Redis instead of from a database."""

from monitoring.dashboards.panels import Alarm, Dashboard, Panel, Query, Row
from monitoring.dashboards.queries import average, quantile, rate

READS = Row(
    "Reads",
    (
        Panel(
            "Hit ratio",
            (Query("cache:cache_requests:hit_ratio5m", "{{job}} {{cache}}"),),
            "percentunit",
            alarm=Alarm("CacheHitRatioLow", 0.5, below=True),
        ),
        Panel(
            "Hits and misses by key pattern",
            (rate("cache_requests_total", "cache, key_pattern, result"),),
            "ops",
            width=16,
        ),
        Panel("Cache misses", (rate("cache_requests_total", "cache", 'result="miss"'),), "ops"),
        Panel("Reads without Redis", (rate("cache_requests_total", "cache", 'result="error"'),), "ops"),
        Panel("Evictions", (rate("cache_evictions_total", "cache"),), "ops"),
    ),
)

REDIS = Row(
    "Redis as the services see it",
    (
        Panel(
            "Redis GET latency",
            (average("redis_command_seconds", "job, command", 'command=~"GET|MGET|EVAL"'),),
            "s",
            "Single reads are MGET (entry and marker), lists are EVAL (generation and entry).",
        ),
        Panel("Redis SET latency", (average("redis_command_seconds", "job, command", 'command=~"SET|DEL"'),), "s"),
        Panel("Redis latency, 99 %", (quantile(0.99, "redis_command_seconds", "job"),), "s"),
        Panel("Commands", (rate("redis_command_seconds_count", "command"),), "ops", width=24),
    ),
)

CACHE = Dashboard("cache", "Cache", (READS, REDIS))
