"""How the API server says no."""

from typing import Any


class ApiError(Exception):
    """The API server refused; `status` is HTTP's, the text is its own message."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("message") or f"HTTP {status}")
        self.status = status
        self.causes: list[dict[str, str]] = (body.get("details") or {}).get("causes") or []

    @property
    def ending(self) -> bool:
        """Whether it refused because the namespace is being deleted."""
        return any(each.get("reason") == "NamespaceTerminating" for each in self.causes)

    @property
    def concerns_all(self) -> bool:
        """Whether no other object would fare better: the namespace ends, or the server is overloaded or broken."""
        return self.ending or self.status >= 500 or self.status == 429


class NotServed(Exception):
    """No definition of this kind is installed."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f"{kind} ({api_version}) is not installed")
        self.api_version = api_version
        self.kind = kind
