"""Content credentials of a JPEG file read without a C2PA library: JUMBF (ISO/IEC 19566-5) and CBOR (RFC 8949)."""

from collections.abc import Iterator
from typing import Any

_HEADERS = {24: 1, 25: 2, 26: 4, 27: 8}  # bytes of the number that follows


def read_boxes(jpeg: bytes) -> list[tuple[str, bytes]]:
    """Labels and contents of the boxes, in their order."""
    return list(_walk(_join_segments(jpeg), ""))


def read_cbor(data: bytes) -> Any:
    """Decode one item; tags are left out."""
    return _decode(data, 0)[0]


def write_signature_structure(protected: bytes, payload: bytes) -> bytes:
    """What a COSE_Sign1 signs (RFC 9052, section 4.4)."""
    parts = [b"\x6aSignature1", *(_write_bytes(part) for part in (protected, b"", payload))]
    return b"\x84" + b"".join(parts)


def _join_segments(jpeg: bytes) -> bytes:
    """The boxes in APP11 segments; those after the first repeat the header of the box."""
    place, boxes = 2, b""
    while jpeg[place] == 0xFF and jpeg[place + 1] != 0xDA:
        size = int.from_bytes(jpeg[place + 2 : place + 4])
        body = jpeg[place + 4 : place + 2 + size]
        if jpeg[place + 1] == 0xEB and body[:2] == b"JP":
            boxes += body[16 if boxes else 8 :]
        place += 2 + size
    return boxes


def _walk(data: bytes, label: str) -> Iterator[tuple[str, bytes]]:
    place = 0
    while place + 8 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        body = data[place + 8 : place + size]
        if kind == b"jumb":
            description = int.from_bytes(body[:4])
            name = body[8 + 17 : description].split(b"\0")[0].decode()
            yield from _walk(body[description:], name)
        else:
            yield label, body
        place += size


def _decode(data: bytes, place: int) -> tuple[Any, int]:
    major, number = data[place] >> 5, data[place] & 31
    place += 1
    if number in _HEADERS:
        size = _HEADERS[number]
        number, place = int.from_bytes(data[place : place + size]), place + size
    match major:
        case 0:
            return number, place
        case 1:
            return -1 - number, place
        case 2:
            return data[place : place + number], place + number
        case 3:
            return data[place : place + number].decode(), place + number
        case 4 | 5:
            items = []
            for _ in range(number * (major - 3)):
                item, place = _decode(data, place)
                items.append(item)
            return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), place
        case 6:
            return _decode(data, place)
    return {20: False, 21: True}.get(number), place


def _write_bytes(data: bytes) -> bytes:
    size = len(data)
    if size < 24:
        return bytes([0x40 | size]) + data
    return (
        b"\x5a" + size.to_bytes(4) + data
        if size > 65535
        else (b"\x59" + size.to_bytes(2) + data if size > 255 else b"\x58" + size.to_bytes(1) + data)
    )
