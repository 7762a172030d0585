"""Record batches that aiokafka cannot read, read all the same: one that fails holds its partition up for ever.

It raises where it unpacks a batch (consumer/fetcher.py, PartitionRecords._unpack_records), and so at every fetch anew.
Brokers take such batches from any client: they do not decode a header's name, which aiokafka does strictly (`_read_msg`
in record/default_records.py and its Cython twin), and Java unpacks what Python's gzip refuses. aiokafka also unpacks a
compressed batch as a whole, however large it gets; here that has a bound. Our producers compress nothing.
"""

import gzip
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from typing import Any

import cramjam
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

UNREADABLE = "unreadable-batch"
"""Header of the record that stands for a whole batch: the name of the error. Its value is the batch as stored."""
LARGEST = 4 * 2**20
"""Bytes that a batch may unpack to: four times as many as brokers take at once.

A client with usual settings packs no more: batches of 16 KiB (Java) to 1 MB (librdkafka), records of 1 MiB. A larger
bound would not hold: two bytes can be a header, which takes 70 here, and a service has 384 MiB for everything."""


def install() -> None:
    """Let every consumer of this process read so; whoever makes one calls this first."""
    fetcher.MemoryRecords, fetcher.PartitionRecords = _Fetched, _Records


class UnpacksTooLarge(ValueError):
    """A batch would unpack to more than LARGEST."""


class _Fetched(MemoryRecords):  # type: ignore[misc]  # aiokafka ships no types
    """What a fetch brought of a partition, and the bytes that the Cython reader keeps to itself."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data

    def next_batch(self) -> Any:
        batch = super().next_batch()
        if getattr(batch, "compression_type", 0):
            raise NotImplementedError("it is left to _Lenient")
        return batch


class _Records(PartitionRecords):  # type: ignore[misc]
    """Reads as fast as its base until that fails, and then once more from where it was."""

    _records: Any
    _records_iterator: Any

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None
            raise
        except Exception:
            if isinstance(self._records, _Lenient):
                raise  # a checksum that does not match: the next fetch may bring the batch intact
            self._records_iterator = self._again(self.next_fetch_offset)
            return next(self)

    def _again(self, first: int) -> Iterator[Any]:
        self._records = _Lenient(self._records.data)
        yield from (record for record in self._unpack_records() if record.offset >= first)


class _Lenient(_MemoryRecordsPy):  # type: ignore[misc]
    unpacked = 0

    def has_next(self) -> bool:
        """Not after a megabyte was unpacked: the next fetch brings the rest to those who take a whole one at once."""
        return self.unpacked < LARGEST // 4 and bool(super().has_next())

    def next_batch(self) -> Any:
        raw, batch = self._next_slice, super().next_batch()
        return _Batch(raw, self) if raw[self.MAGIC_OFFSET] >= 2 else batch  # older formats have no headers


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def __init__(self, raw: memoryview, of: _Lenient) -> None:
        super().__init__(raw)
        self._raw, self._of = bytes(raw), of

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from _read(self._plain() if self.compression_type else self._raw)
        except MemoryError:
            raise  # it says nothing about the batch
        except Exception as error:
            why = [(UNREADABLE, type(error).__name__.encode())]
            last = self.next_offset - 1  # nothing of the batch comes after it
            yield _DefaultRecordPy(last, self.max_timestamp, self.timestamp_type, None, self._raw, why)

    def _plain(self) -> bytes:
        """The same batch, not compressed."""
        records = _unpacked(self.compression_type, self._raw[self._pos :])
        self._of.unpacked += len(records)
        fields = list(self._header_data)
        fields[5] &= ~self.CODEC_MASK
        return bytes(self.HEADER_STRUCT.pack(*fields) + records)


def _read(batch: bytes) -> Iterator[Any]:
    """By the Cython reader as far as it can, which takes a tenth of the time: a record may have 2,000,000 headers."""
    done = 0
    try:
        for record in DefaultRecordBatch(batch):
            done += 1
            yield record
    except Exception:
        again = _DefaultRecordBatchPy(batch)
        again._buffer = _Bytes(again._buffer)
        yield from islice(again, done, None)


_INTO: dict[int, Callable[[bytes, memoryview], int]] = {
    _Batch.CODEC_GZIP: lambda packed, room: gzip.GzipFile(fileobj=BytesIO(packed)).readinto(room),
    _Batch.CODEC_SNAPPY: cramjam.snappy.decompress_raw_into,
    _Batch.CODEC_LZ4: cramjam.lz4.decompress_into,
    _Batch.CODEC_ZSTD: cramjam.zstd.decompress_into,
}


def _unpacked(kind: int, packed: bytes) -> bytes:
    """As aiokafka.codec does it, but never more than LARGEST. Raises UnpacksTooLarge, and what the codec raises."""
    room, size = memoryview(bytearray(LARGEST + 1)), 0
    try:
        for block in _snappy_blocks(packed) if kind == _Batch.CODEC_SNAPPY else [packed]:
            size += _INTO[kind](block, room[size:])
    except cramjam.DecompressionError as error:
        if "buffer" not in str(error):  # it is full: cramjam gives no other sign
            raise
        size = len(room)
    if size == len(room):
        raise UnpacksTooLarge
    return bytes(room[:size])


def _snappy_blocks(packed: bytes) -> Iterator[bytes]:
    """One, or as Java frames them; aiokafka walks in circles where a block's length is negative."""
    at = 16 if codec._detect_xerial_stream(packed) else 0
    while at < len(packed):
        start = at + 4 if at else 0
        at = start + int.from_bytes(packed[at:start], "big") if start else len(packed)
        yield packed[start:at]


class _Bytes(bytearray):
    """Whatever is no UTF-8 in them is decoded as `?`: a text is never longer than it was in the record."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Bytes(found) if isinstance(found, bytearray) else found

    def decode(self, *_: Any, **__: Any) -> str:
        return super().decode(errors="replace").replace("\ufffd", "?")
