"""`/healthz` and `/metrics`: healthy while passes end, however they end."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from healthcare_operator.metrics import QUEUE_AGE, QUEUE_DEPTH
from healthcare_operator.workqueue import WorkQueue


async def serve(host: str, port: int, queue: WorkQueue, limit: float) -> web.AppRunner:
    """Starts the server; /healthz fails when a pass, or the wait for one, takes longer than `limit` seconds."""

    async def healthz(_: web.Request) -> web.Response:
        seconds = max(queue.longest, queue.age)
        if seconds > limit:
            return web.json_response({"status": "DOWN", "standingStillSeconds": round(seconds)}, status=503)
        return web.json_response({"status": "UP"})

    async def metrics(_: web.Request) -> web.Response:
        QUEUE_AGE.set(queue.age)
        QUEUE_DEPTH.set(queue.depth)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    # None is every address: asyncio would make a socket of `::` that takes IPv6 alone.
    await web.TCPSite(runner, None if host == "::" else host.strip("[]"), port).start()
    return runner
