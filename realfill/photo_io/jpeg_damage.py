"""JPEG files whose compressed data is damaged, which decoders show as gray or garbage without a word.

A flipped or lost byte puts the decoder out of step, so that in the end data is left over or missing; libjpeg-turbo
warns of it. What a bit changes without that, within a block or in the brightness of what follows, cannot be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import simplejpeg

_EOI, _SOS, _DHT = 0xD9, 0xDA, 0xC4  # markers: end, compressed data follows, Huffman tables
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in compressed data: no stuffed byte, restart or padding
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_HARMLESS = re.compile(  # reports on other segments, and on what simplejpeg does not know
    "ICC|JFIF|Adobe|color conversion|subsampling level|before marker 0x(e.|fe|db)"
)


@dataclass(frozen=True)
class JpegDamageSettings:
    """What is taken for damage.

    Attributes:
        padding_slack: Bytes of padding before the end that may belong to the compressed data; set by hand. Where
            more of a run of equal bytes was decoded as pixels, it replaces data that was lost.
        zeros: Zero bytes in a row that are lost data, where zero bits do not stand for a flat area; set by hand.
            Sectors have 512 and more; photos that are whole have up to 8.
    """

    padding_slack: int = 64
    zeros: int = 64


@dataclass(frozen=True)
class _Segment:
    """A segment of a JPEG file: its marker, and its data from `start` to `end`, both offsets."""

    marker: int
    start: int
    end: int


def find_jpeg_damage(data: bytes, settings: JpegDamageSettings = JpegDamageSettings()) -> str:
    """What is wrong with the compressed data of the first image of a JPEG file; empty if it is whole.

    A file that lacks nothing but its end marker is whole, and so is one with padding before that marker, as some
    cameras write.

    Args:
        data: The file.
        settings: What is taken for damage.
    """
    segments = list(_iterate_segments(data))
    end = segments[-1].end if segments else len(data)
    padding = end - min(len(data[:end].rstrip(byte)) for byte in (b"\0", b"\xff"))
    report = _decode_strictly(data[:end] + bytes([0xFF, _EOI]))
    if extraneous := _EXTRANEOUS.search(report):
        unused = int(extraneous[1])
        if unused <= padding <= unused + settings.padding_slack:
            report, end = "", end - padding
    if not report and _has_lost_sector(data[:end], segments, settings.zeros):
        report = "Zeros in place of compressed data"
    return report


def _decode_strictly(data: bytes) -> str:
    """Decode all data, at an eighth of the size; what libjpeg-turbo reports of damage, or an empty string."""
    for colorspace in ("GRAY", "CMYK"):  # the latter where the file has it
        try:
            simplejpeg.decode_jpeg(data, colorspace, fastdct=True, min_height=1, min_width=1, min_factor=8)
            return ""
        except ValueError as error:
            report = str(error)
        if "color conversion" not in report:
            break
    return "" if _HARMLESS.search(report) else report


def _iterate_segments(data: bytes) -> Iterator[_Segment]:
    """The segments up to the end marker of the first image; compressed data belongs to the segment before it."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _EOI:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        start, place = place + 2, place + 2 + int.from_bytes(data[place + 2 : place + 4])
        if marker == _SOS:
            following = _NEXT_MARKER.search(data, place)
            place = following.start() if following else len(data)
        yield _Segment(marker, start, place)


def _has_lost_sector(data: bytes, segments: list[_Segment], zeros: int) -> bool:
    """Whether compressed data has so many zeros in a row though zero bits are the code of a detail.

    Flat areas are zeros only where their code, the end of a block, is the first of the table of AC coefficients.
    """
    first_symbols: dict[int, int] = {}  # of the tables, by class (16 = AC) and number
    for segment in segments:
        if segment.marker == _DHT:
            first_symbols |= _read_first_symbols(data[segment.start + 2 : segment.end])
        elif segment.marker == _SOS and data.find(bytes(zeros), segment.start, segment.end) >= 0:
            components = data[segment.start + 2]
            tables = data[segment.start + 4 : segment.end : 2][:components]
            last_coefficient, bits = data[segment.start + 4 + 2 * components : segment.start + 6 + 2 * components]
            is_refinement = bits >= 16  # of a progressive file: most of it is bits without a code
            sizes = [first_symbols.get(16 + (table & 15), 0) & 15 for table in tables]  # 0 = the end of blocks
            if last_coefficient and not is_refinement and any(sizes):
                return True
    return False


def _read_first_symbols(tables: bytes) -> dict[int, int]:
    """The symbol whose code is zero bits, by the class and number of each table of a segment."""
    symbols = {}
    while len(tables) > 17:
        symbols[tables[0]] = tables[17]
        tables = tables[17 + sum(tables[1:17]) :]
    return symbols
