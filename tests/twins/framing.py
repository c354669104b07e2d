"""The slow, obvious twin of ext/framing.pyx: records by struct and zlib, one at a time."""

import struct
import zlib

FRAME = struct.Struct("<IIq")
END, DAMAGED, MORE = 0, 1, 2


def checksum(data: bytes, now_ns: int) -> int:
    """CRC-32 of the payload, begun with both halves of the time folded together."""
    return zlib.crc32(data, (now_ns ^ now_ns >> 32) & 0xFFFFFFFF)


def framed(data: bytes, now_ns: int) -> bytes:
    """One record as it stands in a file."""
    return FRAME.pack(len(data), checksum(data, now_ns), now_ns) + data


def look(data: bytes, at: int) -> tuple[int, int, bytes]:
    """Why (END, DAMAGED or MORE), and the record's time and payload where one stands there."""
    if data[at : at + 4] in {b"\0\0\0\0", b"", b"\0", b"\0\0", b"\0\0\0"} or at + 4 > len(data):
        return END, 0, b""
    length = int.from_bytes(data[at : at + 4], "little")
    if at + FRAME.size + length > len(data):
        return DAMAGED, 0, b""
    _, crc, now_ns = FRAME.unpack_from(data, at)
    payload = data[at + FRAME.size : at + FRAME.size + length]
    return (MORE, now_ns, payload) if checksum(payload, now_ns) == crc else (DAMAGED, 0, b"")


def scan(data: bytes, at: int, count: int) -> tuple[list[tuple[int, bytes]], int, int]:
    """See the kernel."""
    found: list[tuple[int, bytes]] = []
    while len(found) < count:
        why, now_ns, payload = look(data, at)
        if why != MORE:
            return found, at, why
        found.append((now_ns, payload))
        at += FRAME.size + len(payload)
    return found, at, MORE


def find_next(data: bytes, at: int, earliest_ns: int, latest_ns: int) -> int:
    """See the kernel."""
    for place in range(at, len(data) - FRAME.size):
        why, now_ns, _ = look(data, place)
        if why == MORE and earliest_ns <= now_ns <= latest_ns:
            return place
    return -1
