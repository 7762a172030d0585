"""Whether something listens, and whether it says that it is well."""

import http.client
import json
import socket
from typing import Any

import psutil


def settled(port: int) -> bool:
    """Whether a service says that it and everything it is connected to is UP."""
    status, body = fetch(port, "/actuator/health")
    components = body.get("components", {}) if isinstance(body, dict) else {}
    return status == 200 and all(component.get("status") == "UP" for component in components.values())


def fetch(port: int, path: str, timeout: float = 2.0) -> tuple[int, Any]:
    """Status and JSON body of a GET on loopback; status 0 when nobody answers, body None when it is not JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, _json(answer.read())
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()


def listens(port: int) -> bool:
    """Whether a connection to loopback is accepted."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def in_use(port: int) -> bool:
    """Whether a server could not listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def holder(port: int) -> str:
    """Who listens on the port, as far as this user may see: `nginx (pid 12)` or `another process`."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another process"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
