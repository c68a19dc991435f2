"""What tuning and sampling read of an album: crops for the bank, the guide, references to look at, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from realfill.album.canvas import crop_window, read_model_window
from realfill.album.layout import Album
from realfill.album.placement import TURNED, read_completed_canvas, read_proposal, read_turned_view
from realfill.album.schemas import Window
from realfill.album.store import canvas_path, mask_path, read_inputs, read_window, tuned_references
from realfill.core.hashing import digest, digest_json
from realfill.core.seeding import numpy_generator
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.composite_corruption import corrupt_composite
from realfill.diffusion.guide import Guide
from realfill.diffusion.training_bank import TrainingBank, TrainingBankSettings, encode_crops
from realfill.diffusion.training_masks import random_mask
from realfill.imaging.ops import UNKNOWN_LEVEL, resize, to_uint8
from realfill.photo_io.color_management import read_srgb

if TYPE_CHECKING:
    from realfill.core.params import FinetuneParams, Params


@dataclass(frozen=True)
class ShownReferenceSettings:
    """How whole references are shown to models that look at them.

    Attributes:
        area: Pixels of each, as a share of the window's at the model's resolution: a quarter costs a quarter of its
            tokens. Set by hand.
    """

    area: float = 0.25


def encode_training_bank(
    album: Album, params: FinetuneParams, model: BaseModel, settings: TrainingBankSettings = TrainingBankSettings()
) -> TrainingBank:
    """Cut, mask and encode the pairs of an album's bank (RealFill, section 4.1).

    The references and the targets take turns. References are learned in random crops under random masks, a target
    in the model's window under random masks joined with its own hole, without loss inside that hole. Pair i is
    determined by (seed, i) alone.

    Args:
        album: The album, or any target of it, after `validate` and `masks` of all targets.
        params: Number of pairs and seed.
        model: The base model, whose autoencoder encodes the pairs.
        settings: Sizes of crops and masks.

    Raises:
        StageError: `validate` or `masks` has not run.
    """
    resolution, paths = model.resolution, tuned_references(album)
    targets = [read_model_window(each, resolution) for each in album.targets]  # [R, R, 3] uint8, [R, R] bool
    smallest = min(_smallest_crop(read_window(each), settings) for each in album.targets)
    references = [_shrink(read_srgb(path), resolution, smallest) for path in paths]
    views = _read_views(album, params, model, paths, references)
    crops, masks, holes, photos, composites = [], [], [], [], {}
    for index in range(params.bank):
        generator = numpy_generator("bank", params.seed, index)
        mask = random_mask(generator, resolution, settings.masks)
        photo = index % (len(references) + len(targets))
        if photo >= len(references):
            crop, hole = targets[photo - len(references)]
            square = None
        else:
            square = _random_square(generator, references[photo], smallest)
            crop, hole = _cut(references[photo], square, resolution), np.zeros_like(mask)
        crops.append(crop)
        masks.append(mask | hole)
        holes.append(hole)
        photos.append(-1 if square is None else photo)
        corruption = numpy_generator("composite", params.seed, index)
        if photo in views and corruption.random() < params.composite:
            colors, known = (view if square is None else _cut(view, square, resolution) for view in views[photo])
            composites[index] = corrupt_composite(colors, known > 0, corruption)
    return encode_crops(
        model,
        crops,
        masks,
        holes,
        settings,
        photos=photos,
        references=read_shown_references(paths, model),
        composites=composites,
        folder=album.work("finetune").parent / ".checkpoints",
    )


def _read_views(
    album: Album, params: FinetuneParams, model: BaseModel, paths: Sequence[Path], references: Sequence[np.ndarray]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """What `align` placed in the view of each reference, and after them of each target, by number.

    Args:
        album: The album.
        params: Whether they are asked for.
        model: Takes them if it has mask channels.
        paths: Of the references.
        references: [H, W, 3] uint8 each, as crops are cut from them.

    Returns:
        Colors, [H, W, 3] uint8 sRGB as large as the reference, or [R, R, 3] of a target, and where they are known,
        uint8 [H, W], 0 = unknown.
    """
    if params.composite == 0 or model.blends:
        return {}
    views = {}
    for number, (path, reference) in enumerate(zip(paths, references, strict=True)):
        placed = next(filter(None, (read_turned_view(each, path) for each in album.targets)), None)
        if placed is not None:
            size = reference.shape[1::-1]
            colors, known = resize(placed[0], *size), placed[1].astype(np.uint8)
            views[number] = colors, cv2.resize(known, size, interpolation=cv2.INTER_NEAREST)
    for number, each in enumerate(album.targets, len(paths)):
        guide = read_guide(each, model.resolution, 1.0)
        if guide is not None:
            views[number] = guide.init_image, guide.placed_mask.astype(np.uint8)
    return views


def read_shown_references(
    paths: Sequence[Path], model: BaseModel, settings: ShownReferenceSettings = ShownReferenceSettings()
) -> list[np.ndarray]:
    """The references as a model looks at them whole, if it does.

    All have one size, so that they are tokens of one layout: that of the middle aspect ratio. Where a photo's aspect
    ratio differs, it has gray bars.

    Args:
        paths: Files of the references.
        model: The base model.
        settings: Their size.

    Returns:
        [H, W, 3] uint8 sRGB, one a file; none for models without such an input.
    """
    if not model.max_references or not paths:
        return []
    photos = [read_srgb(path) for path in paths]
    aspect = sorted(photo.shape[1] / photo.shape[0] for photo in photos)[len(photos) // 2]
    side, step = model.resolution * math.sqrt(settings.area), model.vae_scale_factor
    width, height = (max(step, round(side * factor / step) * step) for factor in (aspect**0.5, aspect**-0.5))
    return [_fit(photo, width, height) for photo in photos]


def read_guide(album: Album, resolution: int, strength: float) -> Guide | None:
    """Make the guide from what `align` placed and completed.

    Placed pixels are shown around the hole as well, so that blending can compare their colors with the photo's there.

    Args:
        album: The album, after `masks` and `align`.
        resolution: Side of the base model's window, pixels.
        strength: Share of the noise that sampling starts with, 0 to 1.

    Returns:
        The guide, its picture in the working space; None where `align` is switched off.

    Raises:
        StageError: `masks` or `align` has not run.
    """
    completed = read_completed_canvas(album)
    if completed is None:
        return None
    window = read_window(album)
    _, mask = read_model_window(album, resolution)
    image = resize(crop_window(completed, window), resolution, resolution)
    proposal = read_proposal(album)
    if proposal is None:
        return Guide(image, np.zeros_like(mask), np.zeros(mask.shape, np.float32), strength)
    proposal = proposal.crop(window.left, window.top, window.side, window.side).resize(resolution, resolution)
    placed_mask = proposal.confidence > 0
    composite = np.where(placed_mask[..., None], to_uint8(proposal.colors), image)
    return Guide(composite, placed_mask, proposal.weight("guided") * mask, strength)


def checkpoint_folder(album: Album, params: Params, model: BaseModel) -> Path:
    """The folder of the checkpoints of tuning this model on these photos with these parameters.

    Raises:
        StageError: `validate` or `masks` has not run.
    """
    references = [
        row.digest
        for target in album.targets
        for row in read_inputs(target)
        if row.role == "reference" and row.verdict == "accepted"
    ]
    finetune = params.finetune.model_dump(mode="json", exclude={"checkpoint_every"})
    pictures = [path for target in album.targets for path in (canvas_path(target), mask_path(target))]
    if params.finetune.composite:
        pictures += [path for target in album.targets for path in sorted((target.work("align") / TURNED).glob("*"))]
    inputs = [*map(digest, pictures), *references]
    key = digest_json([model.digest, finetune, params.section("base"), inputs])[:32]
    return album.work("finetune").parent / ".checkpoints" / key


def _smallest_crop(window: Window, settings: TrainingBankSettings) -> float:
    """Side of the smallest crop of a reference, as a share of the reference's shorter side."""
    return min(1.0, settings.smallest_crop * window.side / min(window.canvas_width, window.canvas_height))


def _shrink(photo: np.ndarray, resolution: int, smallest: float) -> np.ndarray:
    """Make a reference no larger than its smallest crop needs, to save memory."""
    scale = min(1.0, resolution / (smallest * min(photo.shape[:2])))
    return resize(photo, round(photo.shape[1] * scale), round(photo.shape[0] * scale))


def _random_square(generator: np.random.Generator, photo: np.ndarray, smallest: float) -> tuple[int, int, int]:
    """Left, top and side of a random square of a photo, pixels; the logarithm of its side is uniform."""
    height, width = photo.shape[:2]
    share = math.exp(generator.uniform(math.log(smallest), 0.0))
    side = max(1, round(share * min(height, width)))
    left = int(generator.integers(0, width - side + 1))
    top = int(generator.integers(0, height - side + 1))
    return left, top, side


def _cut(picture: np.ndarray, square: tuple[int, int, int], resolution: int) -> np.ndarray:
    """A square of a picture, [R, R, 3] or [R, R] uint8."""
    left, top, side = square
    return resize(picture[top : top + side, left : left + side], resolution, resolution)


def _fit(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a photo into a rectangle, gray where it does not reach; [height, width, 3] uint8."""
    scale = min(width / photo.shape[1], height / photo.shape[0])
    scaled = resize(photo, max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    fitted = np.full((height, width, 3), UNKNOWN_LEVEL, np.uint8)
    left, top = (width - scaled.shape[1]) // 2, (height - scaled.shape[0]) // 2
    fitted[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return fitted
