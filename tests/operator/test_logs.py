"""What the operator prints, a program can read: each line is one JSON object, whoever writes it and however it ends."""

import json
import subprocess
import sys
from typing import Any

from tests.operator.platforms import Platforms
from tests.operator.process import Operator

# Every way in which a process like ours comes to print: kopf's lines carry objects, a library's have quotes and breaks.
WRITERS = """
import asyncio, logging, threading, warnings
from healthcare_operator import logs
import structlog
logs.configure("info")
structlog.get_logger().info("ours", number=1)
structlog.get_logger().debug("dropped")
logging.getLogger("a.library").info("dropped as well")
logging.getLogger("kopf.objects").error('[a/b] said "no"\\nand %s', "more", extra={"k8s_skip": True})
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("kopf.activities").exception("it failed")
    structlog.get_logger().exception("so did ours")
warnings.warn("soon gone")

async def forgotten():
    asyncio.get_running_loop().call_soon(lambda: [][1])
    await asyncio.sleep(0.01)

asyncio.run(forgotten())
thread = threading.Thread(target=lambda: {}["nothing"])
thread.start()
thread.join()
raise RuntimeError("the end\\nof it")
"""


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_writer_writes_json_on_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", WRITERS], capture_output=True, text=True, timeout=60, check=False)
    told = lines(done.stdout)
    assert done.returncode == 1
    assert done.stderr == ""
    assert all({"event", "level", "time"} <= each.keys() for each in told)
    events = [each["event"] for each in told]
    assert events[:4] == ["ours", '[a/b] said "no"\nand more', "it failed", "so did ours"]
    assert "soon gone" in events[4]
    failures = [each["error"] for each in told if "error" in each]
    assert failures == ["ZeroDivisionError", "ZeroDivisionError", "IndexError", "KeyError", "RuntimeError"]
    assert "forgotten" in str(told[-3]) or "<lambda>" in str(told[-3]["at"])
    assert told[-1]["said"] == "the end\nof it"


def test_a_setting_that_cannot_be_read_is_one_line_too() -> None:
    command = [sys.executable, "-m", "healthcare_operator"]
    done = subprocess.run(command, env={"WORKERS": "many"}, capture_output=True, text=True, timeout=60, check=False)
    [said] = lines(done.stdout)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "workers" in said["said"]


def test_an_operator_at_work_prints_nothing_else(platforms: Platforms, operator: Operator) -> None:
    platforms.apply()
    platforms.ready()
    told = lines(operator.log.read_text())
    assert [each for each in told if each.get("platform") == "care" and each.get("phase") == "Ready"]
