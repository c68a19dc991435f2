import numpy as np
import torch

from realfill.core.seeding import derive_seed, numpy_generator, torch_generator


def test_seeds_stay_what_they_are_between_versions() -> None:
    assert derive_seed("noise", 0, 3) == 8099853767133115819
    assert derive_seed("noise", 0, 3) != derive_seed("noise", 0, 4)
    assert derive_seed("1", 2) != derive_seed(1, "2") != derive_seed(12)


def test_seeds_are_63_bits() -> None:
    seeds = [derive_seed("a", number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_draw_does_not_depend_on_the_draws_before_it() -> None:
    first = numpy_generator("grain", 1).standard_normal(8)
    numpy_generator("grain", 0).standard_normal(1000)
    assert np.array_equal(numpy_generator("grain", 1).standard_normal(8), first)
    noise = torch.randn(8, generator=torch_generator("noise", 1))
    torch.randn(1000)
    assert torch.equal(torch.randn(8, generator=torch_generator("noise", 1)), noise)
