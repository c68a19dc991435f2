"""Norms that give the type of their weights."""

import pytest
import torch
from torch import nn

from realfill.diffusion.norms import norms_in_type_of_weights


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 8), nn.LayerNorm(8)])
def test_norms_give_the_type_of_their_weights_inside_the_block_alone(norm: nn.Module) -> None:
    values = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    wanted = norm(values)
    network = nn.Sequential(norm.bfloat16())
    with norms_in_type_of_weights(network):
        inside = network(values)
    assert inside.dtype == torch.bfloat16
    torch.testing.assert_close(inside.float(), wanted, atol=2e-2, rtol=2e-2)
    assert "forward" not in vars(norm)


def test_norms_of_full_precision_are_left_as_they_are() -> None:
    network = nn.Sequential(nn.GroupNorm(2, 8))
    with norms_in_type_of_weights(network):
        assert network(torch.randn(2, 8)).dtype == torch.float32
