"""docs/performance.md: what it names exists, and its claim about indexes holds on the running database."""

import asyncio
import re

import pytest
from healthcare_operator.settings import Settings

from tests.conftest import ROOT, Stack

PAGE = (ROOT / "docs" / "performance.md").read_text()
ORDERS = {
    "ix_patient_name_key": "name_key",
    "ix_patient_email_order": "coalesce(email_order, email_key)",
    "ix_patient_date_of_birth": "date_of_birth",
    "ix_patient_registered_date": "registered_date",
    "ix_patient_created_at": "created_at",
    "ix_appointment_start_time": "start_time",
    "ix_appointment_end_time": "end_time",
    "ix_appointment_status": "status",
    "ix_appointment_created_at": "created_at",
}


def test_every_name_on_it_exists() -> None:
    words = {word for inline in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"[A-Z][A-Z_]{5,}", inline)}
    known = (ROOT / "docs" / "configuration.md").read_text() + (ROOT / "docker-compose.yml").read_text()
    operators = {name.upper() for name in Settings.model_fields}
    assert {word for word in words - operators if word not in known} == {"EXPLAIN", "SELECT"}
    metrics = set(re.findall(r"`([a-z]+_[a-z_]+_(?:seconds|bytes))`", PAGE)) - {"redis_memory_used_bytes"}
    assert len(metrics) > 3
    assert {name for name in metrics if f"`{name}`" not in (ROOT / "docs" / "metrics.md").read_text()} == set()


@pytest.mark.contract("X20")
def test_it_covers_indexes_batches_time_to_live_and_memory() -> None:
    for subject in ("## Database: indexes", "## Kafka: batches and linger", "## Redis: time to live", "## Memory"):
        assert subject in PAGE


@pytest.mark.contract("X20")
@pytest.mark.parametrize("index", ORDERS)
def test_a_page_is_read_in_the_order_of_its_index(stack: Stack, index: str) -> None:
    assert f"`{index}`" in PAGE
    plan = asyncio.run(_plan(stack, index.split("_")[1], ORDERS[index]))
    assert index in plan
    assert "Sort" not in plan


async def _plan(stack: Stack, table: str, column: str) -> str:
    async with stack.database(f"{table}_service") as connection:
        await connection.execute("SET enable_seqscan = off")  # the demo's few rows are read faster without any index
        rows = await connection.fetch(f"EXPLAIN SELECT * FROM {table} ORDER BY {column}, id LIMIT 20")
    return "\n".join(row[0] for row in rows)
