import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from holes import depth_in_hole, draw_holes
from pairs import FrozenAutoencoder, PairBank, Pairs, draw_pairs, encode_pairs
from photos import to_images
from references import fill_gaps, place_references
from training_loop import create_generator


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    photo = data.astronaut()
    corners = ((0, 100), (200, 0), (150, 200))
    return torch.tensor(np.stack([photo[top : top + 256, left : left + 256] for top, left in corners]))


@pytest.fixture(scope="module")
def images(pixels: Tensor) -> Tensor:
    return to_images(pixels).repeat(4, 1, 1, 1)  # [12, 3, 256, 256]


def draw(images: Tensor, repair_share: float, seed: int = 0) -> Pairs:
    return draw_pairs(images, torch.Generator().manual_seed(seed), repair_share)


class AveragingAutoencoder(FrozenAutoencoder):
    """Averages 4 x 4 pixels, and adds a channel of zeros."""

    def __init__(self) -> None:
        super().__init__(None)

    def encode(self, images: Tensor) -> Tensor:
        return torch.nn.functional.pad(torch.nn.functional.avg_pool2d(images, 4), (0, 0, 0, 0, 0, 1))


def test_holes_are_of_several_kinds_and_never_empty() -> None:
    holes = draw_holes(60, torch.Generator().manual_seed(0))
    assert holes.shape == (60, 1, 256, 256)
    assert set(holes.unique().tolist()) == {0.0, 1.0}
    shares = holes.mean((1, 2, 3))
    assert float(shares.min()) > 0
    assert float(shares.median()) == pytest.approx(0.3, abs=0.15)
    assert bool((shares == 1).any())


def test_depth_rises_from_the_rim_to_its_limit() -> None:
    hole = torch.zeros(1, 1, 256, 256)
    hole[..., 64:192, 64:192] = 1
    depth = depth_in_hole(hole, 28)[0, 0]
    assert float(depth[:64].max()) == 0
    assert float(depth[128, 66]) < 6
    assert float(depth[128, 80]) == pytest.approx(16, abs=3)
    assert float(depth[128, 128]) == 28


def test_a_fill_has_an_empty_hole_and_the_photo_as_target(images: Tensor) -> None:
    pairs = draw(images, repair_share=0)
    hole = (pairs.masks > 0).expand_as(images)
    assert bool((pairs.masked_images[hole] == 0).all())
    assert torch.equal(pairs.masked_images[~hole], images[~hole])
    assert torch.equal(pairs.targets, images)
    assert torch.equal(pairs.init_images, images)


def test_a_repair_shows_the_photo_around_the_hole_and_something_like_it_inside(images: Tensor) -> None:
    pairs = draw(images, repair_share=1)
    hole = (pairs.masks > 0).expand_as(images)
    for shown in (pairs.masked_images, pairs.init_images, pairs.targets):
        assert torch.equal(shown[~hole], images[~hole])
    similarities = []
    for target, masked_image, mask in zip(pairs.targets, pairs.masked_images, hole, strict=True):
        shown = mask & (masked_image != 0).any(0)
        similarities.append(float(torch.corrcoef(torch.stack([masked_image[shown], target[shown]]))[0, 1]))
    assert sorted(similarities)[len(similarities) // 2] > 0.85
    assert min(similarities) < 0.8


def test_the_target_of_a_repair_joins_up_at_the_rim(images: Tensor) -> None:
    pairs = draw(images, repair_share=1)
    depth = depth_in_hole(pairs.masks, 28)
    error = (pairs.targets - images).abs().mean(1, keepdim=True)
    assert float(error[(depth > 0) & (depth < 6)].mean()) < 0.2 * float(error[depth == 28].mean())


def test_references_are_mostly_right_and_have_gaps_that_can_be_filled(images: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    references = place_references(images, generator)
    assert 0.6 < float(references.known.float().mean()) < 0.95
    gaps = ~references.known.expand_as(images)
    assert bool((references.images[gaps] == 0).all())
    filled = fill_gaps(references, images, generator)
    assert torch.equal(filled[~gaps], references.images[~gaps])
    assert float((filled[gaps] == 0).float().mean()) < 0.02
    fits = references.shift.flatten(1).abs().amax(1) == 0
    assert 2 <= int(fits.sum()) <= 8, "some lie where they belong"
    assert float(references.shift.square().sum(1).sqrt().mean()) < 3
    right = ((references.images - images).abs() < 0.1).all(1, keepdim=True)[fits][references.known[fits]]
    assert float(right.float().mean()) > 0.6


def test_values_stay_in_range(images: Tensor) -> None:
    pairs = draw(images, repair_share=0.7)
    for shown in (pairs.masked_images, pairs.targets, pairs.init_images):
        assert shown.dtype == torch.float32
        assert bool(shown.isfinite().all())
        assert float(shown.abs().max()) <= 1


def test_a_pair_follows_from_its_generator(images: Tensor) -> None:
    first, again, other = (draw(images[:4], 0.7, seed) for seed in (5, 5, 6))
    assert torch.equal(first.masked_images, again.masked_images)
    assert not torch.equal(first.masks, other.masks)


def test_encoded_pairs_are_latents_and_masks(images: Tensor) -> None:
    pairs = draw(images[:2], repair_share=1)
    encoded = encode_pairs(pairs, AveragingAutoencoder())
    assert encoded.shape == (2, 13, 64, 64)
    assert torch.equal(encoded[:, 4:5], pairs.masks[..., ::4, ::4])
    assert torch.equal(encoded[:, :3], torch.nn.functional.avg_pool2d(pairs.targets, 4))


def test_the_bank_is_renewed_piece_by_piece_and_depends_on_the_step_alone(pixels: Tensor) -> None:
    def create() -> PairBank:
        return PairBank(pixels, AveragingAutoencoder(), count=4, batch=1, uses=1)

    def draw_batch(bank: PairBank, step: int) -> Tensor:
        return bank.draw_batch(step, 32, create_generator(torch.device("cpu"), "batch"))

    bank = create()
    first, same, later = (draw_batch(bank, step) for step in (0, 1, 2))
    assert torch.equal(first, same)
    is_kept = (first == later).flatten(1).all(1)
    assert 0.2 < float(is_kept.float().mean()) < 0.8
    assert torch.equal(draw_batch(create(), 2), later)
    assert not torch.equal(draw_batch(bank, 4), later)
