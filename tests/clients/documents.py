"""The OpenAPI documents as the gateway serves them."""

from typing import Any

import httpx2 as httpx

from tests.conftest import Stack

SERVICES = ("patients", "appointments", "auth", "billing", "analytics")


def documents(stack: Stack) -> dict[str, dict[str, Any]]:
    """By the name under /api-docs."""
    return {name: httpx.get(f"{stack.gateway}/api-docs/{name}", timeout=10).json() for name in SERVICES}


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    return [(path, method, each) for path, item in document["paths"].items() for method, each in item.items()]
