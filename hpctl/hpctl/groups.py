"""Consumer groups whose members were killed: they leave, so that nobody waits until their session ends.

At the start of a stack every member is a dead one. When a service has died, `python -m hpctl.groups <group>` dismisses
the members that its group has at that moment, before the service is started again; otherwise its partitions would have
no reader for ten to fifteen seconds. A service that has joined already is dismissed too, and joins once more at once.
"""

import asyncio
import os
import sys
from collections.abc import Iterable

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest_v2
from aiokafka.protocol.api import Request
from aiokafka.protocol.group import LeaveGroupRequest

from hpctl.embedded.kafka import NODE_ID


class _Describe(Request[DescribeGroupsRequest_v2]):  # type: ignore[misc]  # aiokafka has no types
    """The client's own request reads the answer to version 3 by the form of version 2, and fails."""

    API_KEY = DescribeGroupsRequest_v2.API_KEY

    def __init__(self, groups: Iterable[str]) -> None:
        self._groups = list(groups)

    def build(self, request_struct_class: type[DescribeGroupsRequest_v2]) -> DescribeGroupsRequest_v2:
        return request_struct_class(self._groups)


async def dismiss_members(bootstrap_servers: str, groups: Iterable[str]) -> int:
    """Make every member of these groups leave; how many there were. Raises KafkaError when Kafka does not answer."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    dismissed = 0
    try:
        await client.bootstrap()
        answer = await client.send(NODE_ID, _Describe(groups))
        for described in answer.groups:
            group, members = described[1], described[5]
            for member in members:
                await client.send(NODE_ID, LeaveGroupRequest(group, member[0]))
                dismissed += 1
    finally:
        await client.close()
    return dismissed


def main() -> int:
    """Dismiss the members of the group that is the one argument; the environment names Kafka."""
    try:
        asyncio.run(asyncio.wait_for(dismiss_members(os.environ["KAFKA_BOOTSTRAP_SERVERS"], sys.argv[1:]), 5))
    except (KafkaError, TimeoutError):
        return 1  # a Kafka that is away has no members that somebody waits for
    return 0


if __name__ == "__main__":
    sys.exit(main())
