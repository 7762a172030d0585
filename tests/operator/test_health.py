"""/healthz tells whether passes end."""

import asyncio

import httpx2 as httpx
from chassis.testing import eventually
from healthcare_operator import health
from healthcare_operator.workqueue import Key, WorkQueue
from hpctl.embedded.process import free_port

LIMIT = 0.5


async def test_it_fails_while_a_pass_does_not_end_and_recovers() -> None:
    go_on = asyncio.Event()

    async def work(_: Key) -> float:
        await go_on.wait()
        return -1.0

    queue, port = WorkQueue(work, 1), free_port()
    server = await health.serve("127.0.0.1", port, queue, LIMIT)
    working = asyncio.create_task(queue.run())
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def status() -> int:
                return (await client.get("/healthz")).status_code

            async def down() -> bool:
                return await status() == 503

            async def up() -> bool:
                return await status() == 200

            assert await up()
            queue.add(("here", "care"))
            queue.add(("here", "waits-behind-it"))
            await eventually(down, within=10)
            go_on.set()
            await eventually(up, within=10)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await server.cleanup()
