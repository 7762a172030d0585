"""Load from wrk, bounded in time and connections, pinned away from the server; its answers are counted by status."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Wrong

SCRIPT = """
local headers = {%(headers)s}
local body = %(body)s
local counter = %(seed)d
request = function()
  counter = counter + 1
  local text = body and string.gsub(body, "COUNTER", tostring(counter)) or nil
  return wrk.format("%(method)s", "%(path)s", headers, text)
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%f\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout,
    latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Load:
    """What one run of the load saw: requests per second, and a latency in seconds."""

    rate: float
    p99: float


def needed() -> str | None:
    """What is missing on this machine, as one sentence, or None."""
    missing = [name for name in ("wrk", "nginx") if not shutil.which(name)]
    return (
        f"the benchmarks need {' and '.join(missing)}: install them with the system's package manager"
        if missing
        else None
    )


def wrk(
    url: str,
    *,
    workdir: Path,
    connections: int = 32,
    seconds: int = 4,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str | None = None,
    seed: int = 0,
    cpu: int | None = 1,
) -> Load:
    """Runs wrk once. `COUNTER` in the body becomes a number that grows from `seed`.

    Raises:
        Wrong: an answer was not 2xx, or nothing was answered.
    """
    host, path = re.fullmatch(r"(http://[^/]+)(/.*)", url).groups()  # type: ignore[union-attr]
    script = workdir / "wrk.lua"
    listed = ", ".join(f'["{name}"] = "{value}"' for name, value in (headers or {}).items())
    text = f"[=[{body}]=]" if body is not None else "nil"
    script.write_text(SCRIPT % {"headers": listed, "body": text, "seed": seed, "method": method, "path": path})
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), host]
    if cpu is not None and shutil.which("taskset"):
        command = ["taskset", "-c", str(cpu), *command]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    if not (found := re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+)", output)):
        raise Wrong(f"wrk said nothing of {url}")
    requests, micros, failed = (int(number) for number in found.groups()[:3])
    if failed or not requests:
        raise Wrong(f"{failed} of {requests} answers from {url} were wrong")
    return Load(rate=requests / (micros / 1e6), p99=float(found[4]) / 1e6)
