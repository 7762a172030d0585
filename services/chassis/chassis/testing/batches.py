"""Record batches as a client of any language may write them, byte for byte; aiokafka's own builder takes only text."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import codec
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchPy
from aiokafka.record.util import calc_crc32c

PLACE = b"{placeholder}"
_HEAD = _DefaultRecordBatchPy.HEADER_STRUCT
_LENGTH_AFTER, _CRC, _ATTRIBUTES = 12, 17, 21

Record = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
"""Key, value and headers."""


def trailed(data: bytes) -> bytes:
    """What Java's GZIPInputStream reads to its end, and Python's gzip refuses."""
    return bytes(codec.gzip_encode(data)) + b"behind the end"


def gzip_members(data: bytes) -> bytes:
    """Two, which are one text."""
    return bytes(codec.gzip_encode(data[:20]) + codec.gzip_encode(data[20:]))


def raw_snappy(data: bytes) -> bytes:
    """Without the frames that Java puts around blocks of it."""
    return bytes(codec.snappy_encode(data, xerial_compatible=False))


CODECS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, bytes),
    "gzip": (1, codec.gzip_encode),
    "gzip members": (1, gzip_members),
    "trailed gzip": (1, trailed),
    "snappy": (2, codec.snappy_encode),
    "raw snappy": (2, raw_snappy),
    "snappy of 4 GiB": (2, lambda _: b"\xff\xff\xff\xff\x0f"),  # so it says
    "snappy in circles": (2, lambda data: codec.snappy_encode(data[:20]) + (-8).to_bytes(4, "big", signed=True)),
    "lz4": (3, codec.lz4_encode),
    "zstd": (4, codec.zstd_encode),
}
"""Name → what the batch says, and what its records are packed by."""
UNREADABLE = ("trailed gzip", "snappy of 4 GiB", "snappy in circles")


class Batch(BatchBuilder):  # type: ignore[misc]  # aiokafka ships no types
    """What AIOKafkaProducer.send_batch takes; a header whose name is `place(name)` gets those bytes for its name."""

    def __init__(self, records: Sequence[Record], *, name: bytes = PLACE, packed: str = "none") -> None:
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10 * 2**20)
        for offset, (key, value, headers) in enumerate(records):
            builder.append(offset, None, key=key, value=value, headers=headers)
        kind, pack = CODECS[packed]
        built = bytes(builder.build())
        body = pack(built[_HEAD.size :].replace(PLACE.ljust(len(name), b"."), name))
        fields = list(_HEAD.unpack_from(built))
        fields[1], fields[5] = _HEAD.size - _LENGTH_AFTER + len(body), kind
        whole = bytearray(_HEAD.pack(*fields) + body)
        struct.pack_into(">I", whole, _CRC, calc_crc32c(bytes(whole[_ATTRIBUTES:])))
        self._buffer, self._closed, self._relative_offset = whole, True, len(records)

    def _build(self) -> Any:
        return self._buffer


def place(name: bytes) -> str:
    """The text that stands for a header's name in a Record; the name has 13 bytes at least."""
    return PLACE.ljust(len(name), b".").decode()
