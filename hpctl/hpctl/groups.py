"""Consumer groups at the start of a stack: members that were killed are told to leave.

Otherwise a group waits for their heartbeats until their session ends, and a stack that was killed would take ten
seconds longer to come back. Nothing of the stack consumes yet at this moment, so every member there is a dead one.
"""

from collections.abc import Iterable

from aiokafka.client import AIOKafkaClient
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
