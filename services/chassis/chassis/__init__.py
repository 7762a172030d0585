"""How a service runs: settings, HTTP, data access, events, resilience and telemetry, knowing no patient and no bill."""
