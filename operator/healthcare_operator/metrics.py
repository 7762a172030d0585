"""The operator's metrics; no label has more values than there are components, kinds and phases."""

from prometheus_client import Counter, Gauge, Histogram, Info

PASSES = Counter("healthcare_operator_reconciles_total", "Passes: changed, unchanged, waiting or failed", ["result"])
SECONDS = Histogram(
    "healthcare_operator_reconcile_seconds", "Length of a pass", buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
)
PLATFORMS = Gauge("healthcare_operator_platforms", "Platforms by phase", ["phase"])
QUEUE_DEPTH = Gauge("healthcare_operator_queue_depth", "Platforms that wait for a pass")
QUEUE_AGE = Gauge("healthcare_operator_queue_age_seconds", "How long the oldest wish is overdue")
APPLIES = Counter("healthcare_operator_applies_total", "Applies: changed, unchanged, failed", ["kind", "result"])
CORRECTED = Counter("healthcare_operator_drift_corrected_total", "Objects changed by others, put back", ["kind"])
CONFLICTS = Counter("healthcare_operator_conflicts_total", "Objects of which others hold a field", ["kind"])
PRUNED = Counter("healthcare_operator_pruned_total", "Objects deleted because no longer wanted", ["kind"])
READY = Gauge("healthcare_operator_component_ready", "1 when ready", ["namespace", "platform", "component"])
RENDERED = Gauge("healthcare_operator_rendered_platforms", "Platforms whose objects this process has at hand")
LEADER = Gauge("healthcare_operator_leader", "1 while this process holds the lease")
BUILD = Info("healthcare_operator_build", "The operator")
