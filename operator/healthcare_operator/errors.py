"""How the API server says no."""

from typing import Any

from healthcare_operator.excerpt import excerpt


class ApiError(Exception):
    """The API server refused; `status` is HTTP's, the text is its own message."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(excerpt(str(body.get("message") or f"HTTP {status}")))
        self.status = status
        details = body.get("details")
        causes = details.get("causes") if isinstance(details, dict) else None
        self.causes: list[dict[str, str]] = causes or []

    @property
    def ending(self) -> bool:
        """Whether it refused because the namespace is being deleted."""
        return any(each.get("reason") == "NamespaceTerminating" for each in self.causes)


class Unreachable(ApiError):
    """No answer came, or none that can be read; `status` is 0."""

    def __init__(self, error: Exception) -> None:
        said = f": {error}" if str(error) else ""
        super().__init__(0, {"message": f"the API server did not answer ({type(error).__name__}{said})"})


class NotServed(Exception):
    """No definition of this kind is installed."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f"{kind} ({api_version}) is not installed")
        self.api_version = api_version
        self.kind = kind


class NotLeading(Exception):
    """The lease may have ended, so nothing is written any more."""
