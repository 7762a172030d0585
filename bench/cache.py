"""A cached read of a patient, over a static answer of bare uvicorn."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from hpctl.embedded.process import free_port

from bench.load import wrk
from bench.measure import Ratio, Wrong, compare
from bench.world import World, call, headers, wait_for

STATIC = """
import sys, uvicorn
BODY = %r
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode())]}
async def app(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_config=None,
    access_log=False, lifespan="off")
"""


def cached(world: World) -> Iterator[Ratio]:
    """A cached `GET /patients/{id}`, token and all, over a static answer of bare uvicorn; the servers are pinned."""
    world.database("patient_service")
    with world.service("patient_service", cpu=0, SERVICE_ROLES="api", BILLING_SERVICE_ADDRESS="127.0.0.1:1") as url:
        made = call(
            f"{url}/patients",
            {
                "name": "John Doe",
                "email": f"{uuid.uuid4().hex}@example.com",
                "address": "123 Main St",
                "dateOfBirth": "1990-01-01",
            },
        )
        path = f"/patients/{made['id']}"
        if call(url + path)["id"] != made["id"]:
            raise Wrong("the cached patient is another one")
        with static(world, json.dumps(made).encode()) as bare:

            def ours() -> float:
                return wrk(url + path, workdir=world.directory, headers=headers()).rate

            def theirs() -> float:
                return wrk(f"{bare}/", workdir=world.directory).rate

            yield compare(
                "cached GET /patients/{id} over bare uvicorn",
                "requests/s",
                ours,
                theirs,
                better="higher",
                floor=0.25,
                goal=0.6,
            )


@contextmanager
def static(world: World, body: bytes, *, cpu: int = 0) -> Iterator[str]:
    """Bare uvicorn with one answer, pinned like the service unless told otherwise."""
    port = free_port()
    program = world.directory / "static.py"
    program.write_text(STATIC % body)
    process = subprocess.Popen(["taskset", "-c", str(cpu), sys.executable, str(program), str(port)])
    try:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
