"""Raw recordings: what a venue's connections brought, compressed, in files that a crash cannot spoil.

A recording is a folder of files `raw/VENUE/STAMP.frames`. A file is a row of blocks: a header with
lengths, CRC-32 and times, then the block's frames as MessagePack, compressed with zstd. Every block
is whole in itself and is appended with one `write()`, so a file that a crash cut short is good up to
its last whole block. Nothing is ever appended to a file of an earlier process. Its writer holds a
lock on a file for as long as it grows, which ends with the process whatever ends that.
"""

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa

from engine.edges.capture import CapturedFrame, CaptureError

_BLOCK = struct.Struct("<4sIIIqq")  # magic, bytes here, bytes inside, CRC-32, first and last ns
_MAGIC = b"CORF"
_FRAMES = msgspec.msgpack.Decoder(list[CapturedFrame]).decode
SUFFIX = ".frames"
FILE_BYTES = 128 * 1024 * 1024
FILE_S = 900.0
BLOCK_BYTES = 8 * 1024 * 1024  # a block is written before it grows beyond this
INSIDE_MAX = 1 << 30


class RawWriter:
    """Writes one venue's recording; not to be shared by threads."""

    def __init__(self, folder: Path, file_bytes: int = FILE_BYTES, file_s: float = FILE_S) -> None:
        self.frames = 0
        self.bytes = 0
        self.files = 0
        self._folder = folder
        self._limits = (file_bytes, file_s)
        self._codec = pa.Codec("zstd", compression_level=3)
        self._batch: list[CapturedFrame] = []
        self._batch_bytes = 0
        self._file = -1
        self._written = 0
        self._begun = 0.0

    def add(self, frame: CapturedFrame) -> None:
        """Keep a frame for the next block."""
        self._batch.append(frame)
        self._batch_bytes += len(frame.payload)
        if self._batch_bytes >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was added as a block and have the disk take it; raises OSError."""
        if not self._batch:
            return
        inside = msgspec.msgpack.encode(self._batch)
        packed = self._codec.compress(inside, asbytes=True)
        times = (self._batch[0].at_ns, self._batch[-1].at_ns)
        head = _BLOCK.pack(_MAGIC, len(packed), len(inside), zlib.crc32(packed), *times)
        self._rotate(times[0])
        block = head + packed
        if os.write(self._file, block) != len(block):
            raise OSError(f"{self._folder}: a block was cut short: is the disk full?")
        os.fdatasync(self._file)
        self._written += len(block)
        self.bytes += len(block)
        self.frames += len(self._batch)
        self._batch.clear()
        self._batch_bytes = 0

    def _rotate(self, at_ns: int) -> None:
        file_bytes, file_s = self._limits
        if self._file >= 0:
            if self._written < file_bytes and time.monotonic() - self._begun < file_s:
                return
            os.close(self._file)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = _create(self._folder / f"{at_ns:020d}{SUFFIX}")
        self.files += 1
        self._written = 0
        self._begun = time.monotonic()

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _create(path: Path) -> int:
    """A new file, open to be appended to and locked before it has its name."""
    unnamed = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    file = os.open(unnamed, flags, 0o644)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.link(unnamed, path)
    unnamed.unlink()
    return file


def growing(path: Path) -> bool:
    """Whether a file's writer still has it open."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def raw_files(folder: Path) -> list[Path]:
    """The files of one venue's recording, in order of time."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def is_recording(folder: Path) -> bool:
    """Whether a folder is one venue's recording."""
    return bool(raw_files(folder))


def read_recording(folder: Path) -> Iterator[CapturedFrame]:
    """The frames of one venue's recording, all its files; raises CaptureError.

    A file's end that a crash cut short is where the file ends.
    """
    for path in raw_files(folder):
        yield from read_raw(path)


def read_raw(path: Path) -> Iterator[CapturedFrame]:
    """The frames of one file up to its last whole block; raises CaptureError on a spoilt one."""
    codec = pa.Codec("zstd")
    for inside, packed in _blocks(path):
        yield from _FRAMES(codec.decompress(packed, inside, asbytes=True))


def check_recording(folder: Path) -> int:
    """Hold every block of a venue's recording against its sum; how many. Raises CaptureError."""
    return sum(1 for path in raw_files(folder) for _ in _blocks(path))


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each block of a file: how long it is unpacked, and its packed bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while len(head := file.read(_BLOCK.size)) == _BLOCK.size:
            magic, length, inside, checksum, _, _ = _BLOCK.unpack(head)
            packed = file.read(length)
            at += _BLOCK.size + length
            if magic != _MAGIC or inside > INSIDE_MAX:
                raise CaptureError(f"{path}: byte {at - _BLOCK.size - length}: not a recording")
            if len(packed) < length:
                return  # the crash was here
            if zlib.crc32(packed) != checksum:
                if at == size:
                    return
                raise CaptureError(f"{path}: byte {at - length}: the block is spoilt")
            yield inside, packed
