from pathlib import Path

import numpy as np
import torch

from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.training_bank import TrainingBank, TrainingBankSettings, encode_crops


def test_pairs_do_not_depend_on_how_many_are_encoded_at_a_time(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray]
) -> None:
    image, mask = scene
    crops = [np.roll(image, shift, axis=1) for shift in range(5)]
    masks, holes = [mask] * 5, [np.zeros_like(mask)] * 5
    at_once, one_by_one = (
        encode_crops(model, crops, masks, holes, TrainingBankSettings(encode_batch=batch)) for batch in (5, 1)
    )
    for name, values in vars(at_once).items():
        assert np.allclose(values, getattr(one_by_one, name), atol=1e-5), name


def test_the_masked_latents_do_not_know_what_is_masked(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray]
) -> None:
    image, mask = scene
    painted = np.where(mask[..., None], np.uint8(255), image)
    bank = encode_crops(model, [image, painted], [mask, mask], [mask, ~mask])
    assert torch.equal(bank.masked_latent_mean[0], bank.masked_latent_mean[1])
    assert not torch.equal(bank.latent_mean[0], bank.latent_mean[1])
    assert torch.equal(bank.loss_weight[:1], 1 - model.downsample_masks(bank.mask[:1].float()))


def test_a_composite_is_shown_where_it_is_known_in_the_hole_alone(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray]
) -> None:
    image, mask = scene
    known = np.zeros_like(mask)
    known[:, : mask.shape[1] // 2] = True
    red = np.full_like(image, (250, 10, 10))
    shown = np.where((mask & known)[..., None], red, np.where(mask[..., None], np.uint8(128), image))
    bank = encode_crops(model, [image] * 2, [mask] * 2, [mask] * 2, composites={1: (red, known)})
    plain = encode_crops(model, [image], [mask], [mask])
    assert torch.allclose(bank.masked_latent_mean[:1], plain.masked_latent_mean, atol=1e-5)
    assert torch.allclose(bank.masked_latent_mean[1], model.encode(shown[None])[0][0], atol=1e-5)
    assert torch.equal(bank.loss_weight[1:], plain.loss_weight), "still no loss inside the hole"


def test_no_crop_is_shown_the_reference_that_it_is_of() -> None:
    """The references are told apart by their latents' values."""
    empty = torch.zeros(5, 1, 1, 1)
    references = torch.arange(4.0).view(4, 1, 1, 1)
    photo = torch.tensor([0, 1, 2, 3, -1])
    bank = TrainingBank(empty, empty, empty, empty, empty > 0, empty, photo, references, reference_dropout=0.3)
    generator = torch.Generator().manual_seed(0)
    counts, seen = set(), set()
    for _ in range(60):
        rows = torch.randint(5, (3,), generator=generator)
        shown = bank.draw_references(rows, 3, generator)
        assert shown.shape[0] == 3
        counts.add(shown.shape[1])
        for row, values in zip(rows.tolist(), shown.flatten(1).tolist(), strict=True):
            assert photo[row] not in values
            assert len(set(values)) == len(values)
            seen.update(values)
    assert counts == {0, 1, 2, 3}, "they are left out at random"
    assert seen == {0.0, 1.0, 2.0, 3.0}


def test_the_only_reference_is_shown_to_the_target_alone() -> None:
    empty = torch.zeros(2, 1, 1, 1)
    photo, references = torch.tensor([0, -1]), torch.ones(1, 1, 1, 1)
    bank = TrainingBank(empty, empty, empty, empty, empty > 0, empty, photo, references)
    generator = torch.Generator().manual_seed(0)
    assert bank.draw_references(torch.tensor([0, 1]), 3, generator).shape[1] == 0
    assert bank.draw_references(torch.tensor([1, 1]), 3, generator).shape[1] == 1


def test_a_large_bank_lies_on_the_disk_and_is_the_same(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    image, mask = scene
    pairs = [image, np.roll(image, 5, axis=0)], [mask] * 2, [np.zeros_like(mask)] * 2
    in_memory = encode_crops(model, *pairs)
    on_disk = encode_crops(model, *pairs, TrainingBankSettings(max_bytes=0), folder=tmp_path / "bank")
    for name in ("latent_mean", "latent_std", "masked_latent_mean", "masked_latent_std"):
        assert torch.equal(getattr(in_memory, name), getattr(on_disk, name))
    assert not list((tmp_path / "bank").iterdir()), "nothing is left behind"
