"""Pytest's door to the embedded servers: every suite of the workspace gets the same fixtures."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.lacking", "tests.firsthand", "chassis.testing", "tests.schedule", "tests.cluster.plugin"]

# How long an example takes says what else the machine does, not whether the code is right.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
