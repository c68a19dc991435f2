from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import torch

from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.placement import CERTAIN, read_completed_canvas, write_turned_view
from realfill.album.schemas import PlacementSummary
from realfill.album.store import read_window
from realfill.core.atomic_io import write_json
from realfill.core.params import FinetuneParams, load_params
from realfill.diffusion.album_inputs import (
    checkpoint_folder,
    encode_training_bank,
    read_guide,
    read_shown_references,
)
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.training_bank import TrainingBankSettings
from realfill.photo_io.working_files import read_png, write_png

SIDE = 64
BLUE = (10, 10, 250)


@pytest.fixture
def completed(album: Album) -> Album:
    """The album where nothing is placed and patches complete the hole in blue, at half the size."""
    height, width = read_png(album.work("masks") / "mask.png").shape
    write_json(
        album.work("align") / "placed.json", asdict(PlacementSummary("none", (0, 0, width, height), (), 0.0, 0.0))
    )
    write_png(album.work("align") / "completed.png", np.full((height // 2, width // 2, 3), BLUE, np.uint8))
    return album


@pytest.fixture
def placed(completed: Album) -> Album:
    """The same with red pixels placed all over its canvas, certain in the left half, and a gap in the hole."""
    album = completed
    mask = read_png(album.work("masks") / "mask.png")
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    confidence = np.full(mask.shape, CERTAIN, np.uint8)
    confidence[:, int(columns.mean()) :] = CERTAIN - 1
    confidence[int(rows.mean()) :, : int(columns.mean())] = 0
    summary = PlacementSummary("depth", (0, 0, width, height), ("ref.png",), 0.7, 0.3)
    write_json(album.work("align") / "placed.json", asdict(summary))
    write_png(album.work("align") / "proposal.png", np.full((*mask.shape, 3), (250, 10, 10), np.uint8))
    write_png(album.work("align") / "confidence.png", confidence)
    return album


def test_there_is_no_guide_where_nothing_is_completed(album: Album) -> None:
    assert read_guide(album, SIDE, 0.5) is None


def test_where_nothing_is_placed_the_guide_shows_patches_and_keeps_nothing(completed: Album) -> None:
    guide = read_guide(completed, SIDE, 0.5)
    assert guide is not None
    image, mask = read_model_window(completed, SIDE)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) == 0
    assert inside.any()
    assert (guide.init_image[inside] == BLUE).all()
    np.testing.assert_array_equal(guide.init_image[outside], image[outside])
    assert not guide.placed_mask.any()
    assert not guide.keep_weight.any()


def test_a_completed_canvas_changes_inside_its_hole_only(completed: Album) -> None:
    canvas = read_completed_canvas(completed)
    assert canvas is not None
    hole = read_png(completed.work("masks") / "mask.png") > 0
    assert (canvas[hole] == BLUE).all()
    np.testing.assert_array_equal(canvas[~hole], read_png(completed.work("masks") / "canvas.png")[~hole])


def test_the_guide_shows_what_is_placed_and_patches_in_the_gaps(placed: Album) -> None:
    guide = read_guide(placed, SIDE, 0.25)
    assert guide is not None
    image, mask = read_model_window(placed, SIDE)
    assert (guide.init_image.shape, guide.placed_mask.shape, guide.keep_weight.shape) == (
        (SIDE, SIDE, 3),
        (SIDE, SIDE),
        (SIDE, SIDE),
    )
    assert guide.strength == 0.25
    assert (guide.init_image[guide.placed_mask] == (250, 10, 10)).all(), "around the hole as well"
    known = ~guide.placed_mask & ~mask
    assert known.any()
    np.testing.assert_array_equal(guide.init_image[known], image[known])
    gap = ~guide.placed_mask & mask
    assert gap.any()
    assert (guide.init_image[gap & (cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0)] == BLUE).all()


def test_only_what_is_certain_is_kept_and_only_inside_the_hole(placed: Album) -> None:
    guide = read_guide(placed, SIDE, 0.25)
    assert guide is not None
    _, mask = read_model_window(placed, SIDE)
    assert guide.keep_weight.max() == pytest.approx(1)
    assert not guide.keep_weight[~mask].any()
    assert not guide.keep_weight[:, SIDE // 2 + 2 :].any()
    assert guide.placed_mask[mask][-1], "what is uncertain is placed, but not kept"


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


def test_references_are_shown_whole_and_in_one_size(
    album: Album, model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_shown_references(album.references, model) == [], "to models that look at them"
    monkeypatch.setattr(type(model), "max_references", 3)
    tall = album.references[0]
    write_png(tall, np.full((300, 100, 3), BLUE, np.uint8))
    shown = read_shown_references(album.references, model)
    assert len(shown) == len(album.references)
    assert len({picture.shape for picture in shown}) == 1
    height, width, _ = shown[0].shape
    assert height % model.vae_scale_factor == width % model.vae_scale_factor == 0
    assert height * width == pytest.approx(SIDE**2 / 4, rel=0.3)
    columns = (shown[0] == BLUE).all(axis=(0, 2))
    assert 0 < columns.sum() < width / 2, "the tall one is there as a whole"
    assert (shown[0][:, 0] == 128).all(), "between gray bars"


def test_each_pair_knows_the_photo_that_it_is_of(album: Album, finetune: FinetuneParams, model: BaseModel) -> None:
    count = len(album.references)
    bank = encode_training_bank(album, finetune, model)
    assert bank.photo[: count + 1].tolist() == [*range(count), -1]
    assert len(bank.references) == 0, "the model does not look at them"


def test_composites_are_in_the_masked_images_of_the_photos_that_have_one(
    placed: Album, finetune: FinetuneParams, model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = np.full((50, 74, 3), (250, 10, 10), np.uint8)
    write_turned_view(placed.work("align"), 1, red, np.ones(red.shape[:2], bool), None)
    plain = encode_training_bank(placed, finetune, model)
    shown, again = (
        encode_training_bank(placed, finetune.model_copy(update={"composite": 1.0}), model) for _ in range(2)
    )
    for name, values in vars(plain).items():
        assert (
            name.startswith("masked_latent")
            or values is getattr(shown, name)
            or torch.equal(values, getattr(shown, name))
        ), f"{name} stays as it is"
    changed = (plain.masked_latent_mean != shown.masked_latent_mean).flatten(1).any(1)
    assert changed.tolist() == [pair % 4 in (0, 3) for pair in range(finetune.bank)], (
        "the first reference, the target"
    )
    assert torch.equal(shown.masked_latent_mean, again.masked_latent_mean)
    some = encode_training_bank(placed, finetune.model_copy(update={"composite": 0.5, "bank": 40}), model)
    every = encode_training_bank(placed, finetune.model_copy(update={"composite": 1.0, "bank": 40}), model)
    same = (some.masked_latent_mean == every.masked_latent_mean).flatten(1).all(1)[::4]
    assert 2 <= int(same.sum()) <= 8, "about half of them"
    monkeypatch.setattr(type(model), "blends", True)
    blending = encode_training_bank(placed, finetune.model_copy(update={"composite": 1.0}), model)
    assert torch.equal(blending.masked_latent_mean, plain.masked_latent_mean), "without mask channels there is no use"


def test_tuning_starts_anew_where_other_composites_are_placed(placed: Album, model: BaseModel) -> None:
    def key(composite: float) -> str:
        params = load_params(assignments=[f"finetune.composite={composite}"])
        return checkpoint_folder(placed, params, model).name

    plain, before = key(0.0), key(0.5)
    red = np.full((50, 74, 3), (250, 10, 10), np.uint8)
    write_turned_view(placed.work("align"), 1, red, np.ones(red.shape[:2], bool), None)
    assert key(0.0) == plain != before
    assert key(0.5) not in (plain, before)
