from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from realfill.album.layout import Album
from realfill.album.store import read_window
from realfill.core.atomic_io import write_json
from realfill.core.params import FinetuneParams
from realfill.diffusion.album_inputs import encode_training_bank
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.training_bank import TrainingBank, TrainingBankSettings, encode_crops
from realfill.photo_io.working_files import write_png


def test_the_references_count_everywhere_and_the_target_outside_its_hole(
    album: Album, finetune: FinetuneParams, model: BaseModel
) -> None:
    bank = encode_training_bank(album, finetune, model)
    assert len(bank) == finetune.bank
    assert bool((bank.loss_weight[:3] == 1).all()), "the references count everywhere"
    hole = bank.loss_weight[3:4] == 0  # [1, 1, h, w]; pair 3 shows the target
    assert 0 < int(hole.sum()) < hole.numel()
    masked = model.downsample_masks(bank.mask[3:4].float())
    assert bool((masked[hole] == 1).all()), "the hole is masked, whatever the random mask"


def test_the_window_beyond_a_narrow_photo_is_never_learned(
    album: Album, finetune: FinetuneParams, model: BaseModel
) -> None:
    window = read_window(album)
    window = replace(window, left=0, top=-100, side=window.canvas_height + 200)
    assert window.side > window.canvas_height
    write_json(album.work("masks") / "window.json", vars(window))
    bank = encode_training_bank(album, finetune, model)
    assert bool((bank.loss_weight[3, 0, 0] == 0).all())
    assert bool((bank.loss_weight[3, 0, -1] == 0).all())


def test_a_pair_does_not_depend_on_the_size_of_the_bank(
    album: Album, finetune: FinetuneParams, model: BaseModel
) -> None:
    large, small = (
        encode_training_bank(album, finetune.model_copy(update={"bank": count}), model) for count in (6, 5)
    )
    assert torch.equal(large.mask[:5], small.mask)
    assert torch.allclose(large.latent_mean[:5], small.latent_mean, atol=1e-5)
    other = encode_training_bank(album, finetune.model_copy(update={"seed": 1}), model)
    assert not torch.equal(other.mask, large.mask)


def test_references_are_cut_at_the_scale_of_the_window_or_larger(
    album: Album, finetune: FinetuneParams, model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 296, 3))
    for path in album.references:
        write_png(path, rows)
    crops: list[np.ndarray] = []
    encode = BaseModel.encode

    def spy(self: BaseModel, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        crops.extend(images)
        return encode(self, images)

    monkeypatch.setattr(BaseModel, "encode", spy)
    many = finetune.model_copy(update={"bank": 40})
    encode_training_bank(album, many, model, TrainingBankSettings(encode_batch=40))
    heights = [int(np.ptp(crop)) + 1 for number, crop in enumerate(crops[:40]) if number % 4 != 3]
    smallest = 0.8 * read_window(album).side
    assert smallest - 4 < min(heights) < smallest + 30
    assert max(heights) > 180


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
