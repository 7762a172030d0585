"""The Python processes themselves."""

from monitoring.dashboards.panels import Alarm, Dashboard, Panel, Query, Row
from monitoring.dashboards.queries import average, gauge, quantile, rate

OF = 'job=~"$service"'

PROCESS = Row(
    "Process",
    (
        Panel("CPU", (rate("process_cpu_seconds_total", "job, instance", OF),), about="Cores in use."),
        Panel("Resident memory", (gauge("process_resident_memory_bytes", "job, instance", OF),), "bytes"),
        Panel("Address space", (gauge("process_virtual_memory_bytes", "job, instance", OF),), "bytes"),
        Panel(
            "File descriptors in use",
            (Query(f"max by (job, instance) (process_open_fds{{{OF}}} / process_max_fds{{{OF}}})", "{{job}}"),),
            "percentunit",
            alarm=Alarm("FileDescriptorsRunOut", 0.8),
        ),
        Panel(
            "Processes by version",
            (Query(f"count by (version, python) (build_info{{{OF}}})", "{{version}} {{python}}"),),
        ),
        Panel("Restarts", (Query(f"sum by (job) (changes(process_start_time_seconds{{{OF}}}[5m]))", "{{job}}"),)),
    ),
)

LOOP = Row(
    "Event loop and garbage collection",
    (
        Panel(
            "Event loop lag",
            tuple(quantile(q, "event_loop_lag_seconds", "job", OF) for q in (0.5, 0.99)),
            "s",
            width=12,
            alarm=Alarm("EventLoopBlocked", 0.25),
        ),
        Panel(
            "Mean pause of a collection", (average("python_gc_pause_seconds", "job, generation", OF),), "s", width=12
        ),
        Panel("Collections", (rate("python_gc_collections_total", "job, generation", OF),), "ops", width=12),
        Panel(
            "Objects collected", (rate("python_gc_objects_collected_total", "job, generation", OF),), "ops", width=12
        ),
    ),
)

RUNTIME = Dashboard("runtime", "Runtime", (PROCESS, LOOP), by_service=True)
