"""Pytest's door to the embedded servers: every suite of the workspace gets the same fixtures."""

pytest_plugins = ["chassis.testing", "tests.cluster.plugin"]
