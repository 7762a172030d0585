"""`/healthz` and `/metrics`: healthy while passes end, however they end."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from healthcare_operator.metrics import QUEUE_AGE


async def serve(
    host: str, port: int, standing_still: Callable[[], float], limit: float, age: Callable[[], float]
) -> web.AppRunner:
    """Starts the server; `standing_still` is how long, in seconds, the work has made no progress."""

    async def healthz(_: web.Request) -> web.Response:
        seconds = standing_still()
        if seconds > limit:
            return web.json_response({"status": "DOWN", "standingStillSeconds": round(seconds)}, status=503)
        return web.json_response({"status": "UP"})

    async def metrics(_: web.Request) -> web.Response:
        QUEUE_AGE.set(age())
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
