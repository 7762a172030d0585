"""The operator's metrics; no label has more values than there are components and kinds."""

from prometheus_client import Counter, Gauge, Histogram, Info

PASSES = Counter("healthcare_operator_reconciles_total", "Passes by result", ["result"])
SECONDS = Histogram(
    "healthcare_operator_reconcile_seconds", "Length of a pass", buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
)
QUEUE_AGE = Gauge("healthcare_operator_queue_age_seconds", "How long the oldest wish is overdue")
DRIFT = Counter("healthcare_operator_drift_corrected_total", "Objects put back", ["kind"])
PRUNED = Counter("healthcare_operator_pruned_total", "Objects deleted because no longer wanted", ["kind"])
APPLIED = Counter("healthcare_operator_applied_total", "Objects applied, by reason", ["reason"])
READY = Gauge("healthcare_operator_component_ready", "1 when ready", ["namespace", "platform", "component"])
LEADER = Gauge("healthcare_operator_leader", "1 while this process holds the lease")
BUILD = Info("healthcare_operator_build", "The operator")
