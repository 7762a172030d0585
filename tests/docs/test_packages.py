"""The libraries that this platform is promised to be built on are the ones that it runs on."""

import re
import subprocess
import tomllib

import pytest

from tests.conftest import ROOT

# distribution → how our code imports it
PROMISED = {
    "fastapi": r"from fastapi import",
    "uvicorn": r"import uvicorn",
    "sqlmodel": r"from sqlmodel import",
    "asyncpg": r"import asyncpg",
    "faststream": r"from faststream",
    "grpcio": r"import grpc\b",
    "python-jose": r"from jose import",
    "prometheus-fastapi-instrumentator": r"from prometheus_fastapi_instrumentator import",
    "kopf": r"import kopf",
    "kubernetes": r"from kubernetes\b",
    "redis": None,  # its hiredis speaks on the hot path
}


@pytest.mark.contract("C01")
def test_each_promised_library_is_locked_depended_on_and_used() -> None:
    locked = {each["name"] for each in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    members = [*ROOT.glob("services/*/pyproject.toml"), ROOT / "operator/pyproject.toml", ROOT / "pyproject.toml"]
    wanted = " ".join(str(tomllib.loads(path.read_text())) for path in members)
    listed = subprocess.run(
        ["git", "ls-files", "services", "operator"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [path for path in listed.stdout.split() if path.endswith(".py") and "/tests/" not in path]
    code = "\n".join((ROOT / path).read_text() for path in files)
    for name, imported in PROMISED.items():
        assert name in locked, name
        assert re.search(rf"['\"]{re.escape(name)}[\[>='\"]", wanted), name
        assert imported is None or re.search(rf"^\s*{imported}", code, re.MULTILINE), name
    assert re.search(r"^import hiredis", code, re.MULTILINE)
    assert "pytest" in locked
    assert re.search(r"\bkind\b", (ROOT / "tests/cluster/up.py").read_text()), "make cluster-up knows kind"
