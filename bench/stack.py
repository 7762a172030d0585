"""The embedded stack: a warm `hpctl up`, and the services' own memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from hpctl.layout import SERVICES

from bench.measure import Ratio, Wrong, absolute
from bench.world import World

OFFSET = "18500"


def hpctl(*words: str) -> str:
    """Runs the command line against a stack of the benchmark's own."""
    command = [sys.executable, "-m", "hpctl", *words]
    environ = os.environ | {"PORT_OFFSET": OFFSET}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        raise Wrong(f"hpctl {words[0]}: {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout


def stack(_: World) -> Iterator[Ratio]:
    """Starts it once to have data, then three times more."""
    hpctl("up")
    memory, starts = [], []
    try:
        for _round in range(3):
            memory.append(pss())
            hpctl("down")
            started = time.perf_counter()
            hpctl("up")
            starts.append(time.perf_counter() - started)
    finally:
        hpctl("reset", "--yes")
    yield absolute("warm up", "s", starts, floor=12, goal=6)
    yield absolute("memory of all services (PSS)", "MiB", memory, floor=250, goal=180)


def pss() -> float:
    """MiB of all services together, as the status tells them."""
    processes = json.loads(hpctl("status", "--json"))["processes"]
    names = {service.name for service in SERVICES}
    return float(sum(each["memory_mib"] for each in processes if each["name"] in names))
