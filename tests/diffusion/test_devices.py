"""What is asked of the device, told from what a GPU would answer."""

import pytest
import torch

from realfill.diffusion.devices import has_room


@pytest.mark.parametrize(("gigabytes", "fits"), [(9.0, True), (16.0, True), (17.0, False), (43.0, False)])
def test_activations_have_room_where_a_quarter_more_is_free_or_cached(
    monkeypatch: pytest.MonkeyPatch, gigabytes: float, fits: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (18 * 10**9, 24 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * 10**9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * 10**9)
    assert has_room(torch.device("cuda"), gigabytes) == fits


def test_the_cpu_keeps_little() -> None:
    assert not has_room(torch.device("cpu"), 0.001)
