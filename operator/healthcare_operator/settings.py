"""The operator's own settings: one environment variable each, its name in upper case."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _charts() -> Path:
    """The repository's charts, or those of the image."""
    beside = Path(__file__).parents[2] / "charts"
    return beside if beside.is_dir() else Path("/app/charts")


class Settings(BaseSettings):
    """What the process is told."""

    model_config = SettingsConfigDict(extra="ignore")

    charts_dir: Path = Field(default_factory=_charts, description="where the charts are")
    app_version: str = Field("development", description="the version that its metrics tell; the chart says the image's")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="lines below it are dropped")
    host: str = Field("::", description="the address of /healthz and /metrics; `::` is every one, of IPv4 too")
    port: int = Field(8080, ge=0, le=65535, description="the port of /healthz and /metrics")
    pod_name: str = Field("operator", description="who holds the lease")
    pod_namespace: str = Field("default", description="where the lease is")
    watch_namespace: str = Field("", description="one namespace only; empty: all")
    lease_seconds: float = Field(3, gt=1, le=300, description="how long a dead leader is waited for")
    resync_seconds: float = Field(60, gt=0, le=3600, description="how often each platform is looked at without cause")
    workers: int = Field(4, ge=1, le=64, description="platforms that are worked on at a time")
    stall_seconds: float = Field(120, gt=1, description="a pass longer than this makes /healthz fail")
