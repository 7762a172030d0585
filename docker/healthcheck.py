"""The container's health check: exit code 0 when this service is ready. Needs sockets alone, to start in no time."""

import os
import socket
import sys

PORTS = {
    "api-gateway": ("API_GATEWAY_PORT", 4004),
    "analytics-service": ("ANALYTICS_SERVICE_PORT", 4002),
    "appointment-service": ("APPOINTMENT_SERVICE_PORT", 4006),
    "auth-service": ("AUTH_SERVICE_PORT", 4005),
    "billing-service": ("BILLING_SERVICE_HTTP_PORT", 4001),
    "patient-service": ("PATIENT_SERVICE_PORT", 4000),
}


def ready() -> bool:
    """Whether the server in this container answers its readiness probe with 200."""
    variable, default = PORTS[os.environ["SERVICE"]]
    port = int(os.environ.get(variable) or default)
    request = f"GET /actuator/health/readiness HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(request.encode())
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if ready() else 1)
