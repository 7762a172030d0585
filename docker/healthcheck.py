"""The container's health check: exit code 0 when this service's liveness answers 200. Needs nothing but Python."""

import os
import sys
import urllib.error
import urllib.request

PORTS = {
    "api-gateway": ("API_GATEWAY_PORT", "4004"),
    "analytics-service": ("ANALYTICS_SERVICE_PORT", "4002"),
    "appointment-service": ("APPOINTMENT_SERVICE_PORT", "4006"),
    "auth-service": ("AUTH_SERVICE_PORT", "4005"),
    "billing-service": ("BILLING_SERVICE_HTTP_PORT", "4001"),
    "patient-service": ("PATIENT_SERVICE_PORT", "4000"),
}


def healthy() -> bool:
    """Whether the server in this container answers."""
    variable, default = PORTS[os.environ["SERVICE"]]
    address = f"http://127.0.0.1:{os.environ.get(variable) or default}/actuator/health/readiness"
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy() else 1)
