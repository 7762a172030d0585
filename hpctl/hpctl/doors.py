"""The documented port of each service's database, in front of the one embedded PostgreSQL.

The embedded stack runs one server with one database and role per service. It listens on patient-db's port, and these
doors relay the other databases' ports to it, so that `psql -p 5004` reaches appointment-service's database here as it
does under Docker Compose. The services themselves connect to the server without a relay between.
"""

import asyncio
import os
from contextlib import suppress

_CHUNK = 65_536


def main() -> None:
    """Relay every port of DOORS (numbers separated by commas) to 127.0.0.1:DOORS_TO, until the process ends."""
    ports = [int(port) for port in os.environ["DOORS"].split(",")]
    asyncio.run(serve(ports, int(os.environ["DOORS_TO"])))


async def serve(ports: list[int], target: int) -> None:
    """Listen on the ports of loopback and relay each connection to the target port."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    servers = [await asyncio.start_server(relay, "127.0.0.1", port) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
