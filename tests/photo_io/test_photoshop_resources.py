from hypothesis import given
from hypothesis import strategies as st

from realfill.photo_io.photoshop_resources import merge, read_resources, write_resources

RESOURCES = [(0x0404, b"odd"), (0x040A, b"\x01"), (0x040B, b"http://ann.example")]


def test_resources_are_read_as_they_were_written() -> None:
    assert list(read_resources(write_resources(RESOURCES))) == RESOURCES


def test_names_are_passed_over() -> None:
    named = b"8BIM\x04\x04\x04name\0\0\0\0\x02ab"
    assert list(read_resources(named + write_resources(RESOURCES[1:2]))) == [(0x0404, b"ab"), RESOURCES[1]]


@given(st.binary(max_size=80), st.integers(1, 60))
def test_damaged_resources_end_where_they_are_damaged(data: bytes, cut: int) -> None:
    list(read_resources(b"8BIM" + data))
    whole = write_resources(RESOURCES)
    read = list(read_resources(whole[: len(whole) - cut]))
    assert read == RESOURCES[: len(read)]


def test_resources_are_completed_by_those_that_they_lack() -> None:
    assert merge(((1, b"a"),), ((1, b"b"), (2, b"c"))) == ((1, b"a"), (2, b"c"))
