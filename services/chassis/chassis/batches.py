"""Record batches that aiokafka cannot read, read all the same: one that fails holds its partition up for ever.

It raises where it unpacks a batch (consumer/fetcher.py, PartitionRecords._unpack_records), and so at every fetch anew.
Brokers take such batches from any client: they do not decode a header's name, which aiokafka does strictly (`_read_msg`
in record/default_records.py and its Cython twin), and Java unpacks what Python's gzip refuses.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

UNREADABLE = "unreadable-batch"
"""Header of the record that stands for a whole batch: the name of the error. Its value is the batch as stored."""


def install() -> None:
    """Let every consumer of this process read so; whoever makes one calls this first."""
    fetcher.MemoryRecords, fetcher.PartitionRecords = _Fetched, _Records


class _Fetched(MemoryRecords):  # type: ignore[misc]  # aiokafka ships no types
    """What a fetch brought of a partition, and the bytes that the Cython reader keeps to itself."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


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
    def next_batch(self) -> Any:
        raw, batch = self._next_slice, super().next_batch()
        return _Batch(raw) if raw[self.MAGIC_OFFSET] >= 2 else batch  # older formats have no headers


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def __init__(self, raw: memoryview) -> None:
        super().__init__(raw)
        self._raw = raw

    def __iter__(self) -> Iterator[Any]:
        batch = _DefaultRecordBatchPy(self._raw)
        try:
            batch._maybe_uncompress()
            batch._buffer = _Bytes(batch._buffer)
            yield from batch
        except MemoryError:
            raise  # it says nothing about the batch
        except Exception as error:
            why = [(UNREADABLE, type(error).__name__.encode())]
            last = self.next_offset - 1  # nothing of the batch comes after it
            yield _DefaultRecordPy(last, self.max_timestamp, self.timestamp_type, None, bytes(self._raw), why)


class _Bytes(bytearray):
    """Whatever is no UTF-8 in them is decoded as `?`: a text is never longer than it was in the record."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Bytes(found) if isinstance(found, bytearray) else found

    def decode(self, *_: Any, **__: Any) -> str:
        return super().decode(errors="replace").replace("\ufffd", "?")
