"""The Kubernetes operator: its passes, what it changes, and the platforms that it looks after."""

from monitoring.dashboards.panels import Alarm, Dashboard, Panel, Query, Row
from monitoring.dashboards.queries import average, gauge, quantile, rate

PASSES = Row(
    "Passes",
    (
        Panel("Passes by result", (rate("healthcare_operator_reconciles_total", "result"),), "ops"),
        Panel(
            "Length of a pass",
            (
                average("healthcare_operator_reconcile_seconds", "job", legend="average"),
                quantile(0.95, "healthcare_operator_reconcile_seconds", "job"),
            ),
            "s",
        ),
        Panel(
            "Oldest wish overdue",
            (gauge("healthcare_operator_queue_age_seconds", "job", how="max"),),
            "s",
            alarm=Alarm("OperatorStandsStill", 120),
        ),
        Panel("Leaders", (gauge("healthcare_operator_leader", "instance"),), about="One replica works."),
    ),
)

PLATFORMS = Row(
    "Platforms",
    (
        Panel(
            "Components that are ready",
            (gauge("healthcare_operator_component_ready", "namespace, platform, component", how="max"),),
            width=16,
        ),
        Panel("Platforms by phase", (gauge("healthcare_operator_platforms", "phase", how="max"),)),
        Panel(
            "Components that are not",
            (
                Query(
                    "count by (namespace, platform) (healthcare_operator_component_ready == 0)",
                    "{{namespace}} {{platform}}",
                ),
            ),
        ),
    ),
)

SINCE = "Since the operator started."

OBJECTS = Row(
    "Objects",
    (
        Panel("Applied, by result", (rate("healthcare_operator_applies_total", "result"),), "ops"),
        Panel("Drift put back", (gauge("healthcare_operator_drift_corrected_total", "kind"),), about=SINCE),
        Panel("Held by somebody else", (gauge("healthcare_operator_conflicts_total", "kind"),), about=SINCE),
        Panel("Pruned", (gauge("healthcare_operator_pruned_total", "kind"),), about=SINCE),
    ),
)

OPERATOR = Dashboard("operator", "Operator", (PASSES, PLATFORMS, OBJECTS))
