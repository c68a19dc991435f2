"""References warped into the target's view, brought into its light, and fused into one proposal with its confidence.

At every place one reference is taken, not an average of several, which would blur; a smooth labelling (semi-global
matching with Potts' model) prefers the reference that continues the target best, and avoids what others contradict.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from realfill import relight
from realfill.depth import aggregated, correlation, reaches
from realfill.images import Pixels, read_srgb, resize
from realfill.levelling import seam_offsets

_LEAST_LIKENESS = 0.15  # mean correlation with the target around the hole, below which a reference is not believed
_FULL_LIKENESS = 0.5
_LEAST_KINSHIP = 0.2  # correlation of coarse colours, below which what is laid loosely shows something else
_COARSE = 12.0  # pixels
_SAME = 0.6  # correlation from which on reference and target show the same
_RING = (5.0, 100.0)  # pixels from the hole between which the likeness is measured
_LOCAL = 9  # pixels over which the variance of brightness is told
_TEXTURED = 1e-3  # variance of brightness
_FEWEST_TEXTURED = 200
_APART = 0.15  # distance of colours at which a reference is an outlier
_AS_NEAR = 1.5  # times the parallax of another reference
_ALIKE = 0.08  # distance of colours within which two references confirm each other
_BUSY = 0.25  # deviation of brightness at which a pixel's misplacement makes a reference doubtful
_ALONE = 0.4  # confidence where no other reference tells anything
_ABSENT = 10.0
_HIDDEN = 3.0  # cost of a reference from which something nearer hides the scene
_STRETCHED = 2.0  # cost of each octave by which a reference shows a place coarser than it mostly does
_MOST_STRETCHED = 3.0  # octaves
_SWITCH = 1.0  # cost of taking another reference than the neighbouring pixel
_BAND = 0.1  # of the longer side: over which the light of one reference passes into that of the next


@dataclass(frozen=True)
class Warp:
    """How the canvas lies in a reference.

    Attributes:
        maps: From columns and rows of the canvas, float32 [h, w], to those of the reference, and whether they are
            defined.
        parallax: Angle between the two cameras as seen from the scene, radians.
        seen: Where nothing nearer hides the scene from the reference, bool at the working scale; None: everywhere.
        exact: Whether the geometry of the scene says so; what is laid only about right is never certain.
    """

    maps: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    parallax: float
    seen: np.ndarray | None = None
    exact: bool = True


@dataclass(frozen=True)
class Part:
    """The part of the canvas that is worked on.

    Attributes:
        canvas: [H, W, 3] uint8 sRGB.
        mask: [H, W] uint8, 255 = fill.
        box: Left, top, right, bottom (exclusive), pixels of the canvas.
        scale: Working size / full size, at most 1.
    """

    canvas: Pixels
    mask: Pixels
    box: tuple[int, int, int, int]
    scale: float

    @classmethod
    def around(cls, canvas: Pixels, mask: Pixels, margin: float, side: int) -> Part:
        """The hole and a margin (a share of its longer side) around it, worked on with `side` pixels at most."""
        left, top, width, height = cv2.boundingRect(mask)
        pad = round(margin * max(width, height)) + 8
        box = (
            max(0, left - pad),
            max(0, top - pad),
            min(mask.shape[1], left + width + pad),
            min(mask.shape[0], top + height + pad),
        )
        return cls(canvas, mask, box, min(1.0, side / max(box[2] - box[0], box[3] - box[1])))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height at the working scale."""
        left, top, right, bottom = self.box
        return max(16, round((right - left) * self.scale)), max(16, round((bottom - top) * self.scale))

    @property
    def hole(self) -> np.ndarray:
        """Whatever touches the hole, at the working scale, bool."""
        return np.asarray(resize((self.cut(self.mask) > 0).astype(np.float32), *self.size) > 0)

    def cut(self, image: Pixels) -> Pixels:
        """The part of a canvas-sized picture at full size."""
        left, top, right, bottom = self.box
        return image[top:bottom, left:right]

    def working(self, image: Pixels) -> Pixels:
        """The part of a canvas-sized picture at the working scale."""
        return resize(self.cut(image), *self.size)

    def filled(self, fusion: Fusion) -> Part:
        """The same with the hole filled as far as anything is proposed."""
        canvas, mask = self.canvas.copy(), self.mask.copy()
        shown = fusion.hole & (fusion.confidence > 0)
        self.cut(canvas)[shown] = fusion.proposal[shown]
        self.cut(mask)[shown] = 0
        return replace(self, canvas=canvas, mask=mask)

    def grid(self, *, full: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows of the canvas that the part's pixels show, float32 [h, w] each."""
        left, top, right, bottom = self.box
        width, height = (right - left, bottom - top) if full else self.size
        columns = (np.arange(width, dtype=np.float32) + 0.5) * ((right - left) / width) - 0.5 + left
        rows = (np.arange(height, dtype=np.float32) + 0.5) * ((bottom - top) / height) - 0.5 + top
        x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        return x, y

    def to_working(self, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From pixels of the canvas to those of the part at the working scale."""
        left, top, right, bottom = self.box
        width, height = self.size
        x = (columns + 0.5 - left) * width / (right - left) - 0.5
        return x, (rows + 0.5 - top) * height / (bottom - top) - 0.5


@dataclass(frozen=True)
class Lit:
    """One reference in the target's view and light, at the working scale.

    Attributes:
        path: The reference.
        warp: Where the canvas's pixels lie in it.
        light: How it is brought into the target's light.
        colours: [h, w, 3] float32 sRGB in 0..1.
        valid: Where it shows anything, bool [h, w].
        seen: Where that is the scene, and not what hides it, bool [h, w].
        stretch: How much coarser it shows a place than most, in the worst direction, octaves, float32 [h, w].
        likeness: Mean correlation with the target around the hole, -1 to 1.
        gains: What its detail has to be multiplied with at full size, see `relight.detail_gains`.
    """

    path: Path
    warp: Warp
    light: relight.Light
    colours: np.ndarray
    valid: np.ndarray
    seen: np.ndarray
    stretch: np.ndarray
    likeness: float
    gains: tuple[float, ...]


@dataclass(frozen=True)
class Fusion:
    """What the references say about the part, at full size.

    Attributes:
        proposal: [h, w, 3] uint8 sRGB.
        confidence: [h, w] uint8: 0 where nothing is proposed, else 1 to 255.
        references: Names of those that were used.
        hole: [h, w] bool.
    """

    proposal: Pixels
    confidence: Pixels
    references: list[str]
    hole: np.ndarray

    def share(self, least: int) -> float:
        """Share of the hole where the confidence is at least this."""
        return round(float((self.confidence[self.hole] >= least).mean()), 4)


def lit(part: Part, path: Path, warp: Warp) -> Lit | None:
    """Warp a reference and bring it into the target's light.

    None where it shows too little around the hole, or is laid loosely and shows something else there.
    """
    image = read_srgb(path)
    columns, rows, defined = warp.maps(*part.grid())
    colours, valid = _sampled(image, columns, rows, defined)
    target = part.working(part.canvas).astype(np.float32) / 255
    seen = valid if warp.seen is None else valid & warp.seen
    learn = relight.learn if warp.exact else relight.learn_roughly
    light = learn(colours, target, seen & ~part.hole, part.hole)
    if light is None:
        return None
    colours = light(colours)
    if not warp.exact and _kinship(colours, target, seen & ~part.hole) < _LEAST_KINSHIP:
        return None
    alike = correlation(_gray(target), _gray(colours))
    likeness = _likeness(alike, target, seen, part.hole)
    full, shown = _sampled(image, *warp.maps(*part.grid(full=True)))
    same = cv2.resize((alike > _SAME).astype(np.float32), full.shape[1::-1]) > 0.5
    known = shown & same & (part.cut(part.mask) == 0)
    gains = relight.detail_gains(light(full), part.cut(part.canvas).astype(np.float32) / 255, known)
    return Lit(path, warp, light, colours, valid, seen, _stretch(columns, rows, valid), likeness, gains)


def believed(candidates: Sequence[Lit | None]) -> list[Lit]:
    """Those that resemble the target around the hole, and not far less than the best one does."""
    found = [candidate for candidate in candidates if candidate is not None]
    best = max((candidate.likeness for candidate in found), default=0.0)
    return [candidate for candidate in found if candidate.likeness >= max(_LEAST_LIKENESS, best / 2)]


def fused(part: Part, candidates: Sequence[Lit]) -> Fusion:
    """Choose a reference for every place; at least one candidate."""
    labels, disagreement = _chosen(candidates)
    confidence = _confidence(candidates, labels, disagreement)
    covered = np.any([candidate.valid for candidate in candidates], axis=0)
    left, top, right, bottom = part.box
    size = (right - left, bottom - top)
    reached = cv2.resize(covered.astype(np.float32), size) > 0.99
    sure = np.rint(cv2.resize(confidence, size) * 255).clip(1, 255)
    return Fusion(
        np.rint(_mosaic(part, candidates, labels).clip(0, 1) * 255).astype(np.uint8),
        np.where(reached, sure, 0).astype(np.uint8),
        [candidate.path.name for number, candidate in enumerate(candidates) if (labels == number).any()],
        part.cut(part.mask) > 0,
    )


def _mosaic(part: Part, candidates: Sequence[Lit], labels: np.ndarray) -> np.ndarray:
    """The chosen references at full size, blended in frequency bands, [h, w, 3] float32.

    Burt and Adelson, ACM Transactions on Graphics 1983. The others continue a reference where it shows nothing.
    """
    left, top, right, bottom = part.box
    size = (right - left, bottom - top)
    full = cv2.resize(labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    base, layers = np.zeros((size[1], size[0], 3), np.float32), []
    offsets = seam_offsets([c.colours for c in candidates], [c.valid for c in candidates], labels)
    for number in np.unique(labels).tolist():
        candidate = candidates[number]
        colours, valid = _sampled(read_srgb(candidate.path), *candidate.warp.maps(*part.grid(full=True)))
        colours = relight.with_detail(candidate.light(colours), candidate.gains) + cv2.resize(offsets[number], size)
        base[full == number] = colours[full == number]
        layers.append((number, colours, valid))
    if len(layers) == 1:
        return base
    levels = max(1, int(np.log2(max(size) * _BAND)))
    bands: list[np.ndarray] = []
    for number, colours, valid in layers:
        whole = np.where(valid[..., None], colours, base)
        weight = (full == number).astype(np.float32)
        for level, band in enumerate(_bands(whole, weight, levels)):
            if level < len(bands):
                bands[level] += band
            else:
                bands.append(band)
    mosaic = bands[-1]
    for band in reversed(bands[:-1]):
        mosaic = cv2.pyrUp(mosaic, dstsize=band.shape[1::-1]) + band
    return mosaic


def _bands(image: np.ndarray, weight: np.ndarray, levels: int) -> Iterator[np.ndarray]:
    """The weighted bands of an image's Laplacian pyramid, the finest first."""
    for _ in range(levels):
        coarse = cv2.pyrDown(image)
        yield weight[..., None] * (image - cv2.pyrUp(coarse, dstsize=image.shape[1::-1]))
        image, weight = coarse, cv2.pyrDown(weight)
    yield weight[..., None] * image


def _chosen(candidates: Sequence[Lit]) -> tuple[np.ndarray, np.ndarray]:
    """Number of the reference to take [h, w], and how far each is contradicted by the others [K, h, w]."""
    disagreement = np.stack([_contradicted(candidates, number) for number in range(len(candidates))])
    best = min(candidate.light.error for candidate in candidates)
    closest = max(candidate.likeness for candidate in candidates)
    widest = max(candidate.warp.parallax for candidate in candidates) or 1.0
    sharpest = min(candidate.gains[0] for candidate in candidates)
    cost = np.stack(
        [
            candidate.light.error / best
            + closest / candidate.likeness
            + 2 * candidate.warp.parallax / widest
            + candidate.gains[0] / sharpest
            + 2 * np.minimum(off / _APART, 1)
            + _HIDDEN * ~candidate.seen
            + _STRETCHED * candidate.stretch
            for candidate, off in zip(candidates, disagreement, strict=True)
        ],
        axis=-1,
    ).astype(np.float32)  # [h, w, K]
    cost[~np.stack([candidate.valid for candidate in candidates], axis=-1)] = _ABSENT
    return aggregated(cost, _SWITCH, _SWITCH).argmin(axis=-1), disagreement


def _contradicted(candidates: Sequence[Lit], number: int) -> np.ndarray:
    """How far a reference lies from what at least two others agree on, [h, w] float32, distance of colours.

    Only those count whose view is about as near: where the depth is wrong, farther ones are wrong together.
    """
    near = _AS_NEAR * candidates[number].warp.parallax
    others = [c for place, c in enumerate(candidates) if place != number and c.warp.parallax <= near]
    own = candidates[number].colours
    if len(others) < 2:
        return np.zeros(own.shape[:2], np.float32)
    colours = np.stack([np.where(c.seen[..., None], c.colours, np.nan) for c in others])  # [K - 1, h, w, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # places that no other reference shows
        middle = np.nanmedian(colours, axis=0)
    spread = np.nan_to_num(np.linalg.norm(colours - middle, axis=-1)).max(axis=0)
    apart = np.nan_to_num(np.linalg.norm(own - middle, axis=-1)) - 1.5 * spread
    enough = np.sum([candidate.seen for candidate in others], axis=0) >= 2
    return cv2.GaussianBlur(np.where(enough, np.maximum(apart, 0), 0).astype(np.float32), (0, 0), 2.0)


def _confidence(candidates: Sequence[Lit], labels: np.ndarray, disagreement: np.ndarray) -> np.ndarray:
    """How far the chosen reference is to be believed, [h, w] float32, 0 to 1.

    As far as it resembles the target around the hole, another reference shows the same, and a misplacement by a pixel
    would not show.
    """
    taken = labels[None, ..., None]
    colours = np.take_along_axis(np.stack([c.colours for c in candidates]), taken, axis=0)[0]  # [h, w, 3]
    support = np.full(labels.shape, _ALONE, np.float32)
    for number, candidate in enumerate(candidates):
        apart = cv2.GaussianBlur(np.linalg.norm(candidate.colours - colours, axis=-1), (0, 0), 2.0)
        told = candidate.seen & (labels != number)
        support = np.where(told, np.maximum(support, np.exp(-((apart / _ALIKE) ** 2))), support)
    contradicted = np.take_along_axis(disagreement, labels[None], axis=0)[0]
    support *= np.exp(-((contradicted / _APART) ** 2))
    seen = np.take_along_axis(np.stack([c.seen for c in candidates]), labels[None], axis=0)[0]
    support = np.where(seen, support, np.minimum(support, _ALONE))
    support *= np.exp(-_variance(_gray(colours)) / _BUSY**2)
    exact = np.array([c.warp.exact for c in candidates])[labels]
    support = np.where(exact, support, np.minimum(support, _ALONE))
    trust = np.array([(c.likeness / _FULL_LIKENESS) for c in candidates]).clip(0, 1)[labels]
    return (support * trust).astype(np.float32)


def _likeness(alike: np.ndarray, target: np.ndarray, valid: np.ndarray, hole: np.ndarray) -> float:
    """Mean correlation [H, W] where the target has texture around the hole; 0 where that says too little."""
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    judged = valid & (distance > _RING[0]) & (distance < _RING[1]) & (_variance(_gray(target)) > _TEXTURED)
    if judged.sum() < _FEWEST_TEXTURED:
        return 0.0
    return float(alike[judged].mean())


def _kinship(placed: np.ndarray, target: np.ndarray, shared: np.ndarray) -> float:
    """Correlation of the coarse colours of two pictures [H, W, 3] where both show the scene, -1 to 1."""
    weight = shared.astype(np.float32)[..., None]
    apart = []
    for image in (placed, target):
        coarse = cv2.GaussianBlur(image * weight, (0, 0), _COARSE)[shared]
        coarse /= np.maximum(cv2.GaussianBlur(weight, (0, 0), _COARSE)[shared], 1e-3)[:, None]
        apart.append(coarse - coarse.mean(axis=0))  # [N, 3]
    theirs, ours = apart
    return float((theirs * ours).sum() / max(np.sqrt((theirs**2).sum() * (ours**2).sum()), 1e-9))


def _variance(gray: np.ndarray) -> np.ndarray:
    """Variance of brightness around every pixel [H, W] float32."""
    mean = cv2.blur(gray, (_LOCAL, _LOCAL))
    return np.asarray(np.maximum(cv2.blur(gray * gray, (_LOCAL, _LOCAL)) - mean * mean, 0))


def _gray(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _sampled(
    image: Pixels, columns: np.ndarray, rows: np.ndarray, defined: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colours [h, w, 3] float32 in 0..1 of a picture at places, prefiltered where it has finer pixels; validity."""
    valid = defined & reaches(columns, rows, image.shape)
    shrink = max(1.0, _spacing(columns, rows, valid))
    if shrink > 1.2:
        size = (max(1, round(image.shape[1] / shrink)), max(1, round(image.shape[0] / shrink)))
        columns = (columns + 0.5) * (size[0] / image.shape[1]) - 0.5
        rows = (rows + 0.5) * (size[1] / image.shape[0]) - 0.5
        image = resize(image, *size)
    sampled = cv2.remap(image, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return sampled.astype(np.float32) / 255, valid


def _stretch(columns: np.ndarray, rows: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """See `Lit.stretch`: by the smaller singular value of the map's derivative."""
    slopes = [cv2.GaussianBlur(part, (0, 0), 2.0) for field in (columns, rows) for part in np.gradient(field)]
    (a, b), (c, d) = slopes[:2], slopes[2:]
    size, twist = a * a + b * b + c * c + d * d, 2 * np.abs(a * d - b * c)
    finest = (np.sqrt(np.maximum(size + twist, 0)) - np.sqrt(np.maximum(size - twist, 0))) / 2
    usual = float(np.median(finest[valid])) if valid.any() else 1.0
    octaves = np.log2(max(usual, 1e-6) / np.maximum(finest, 1e-6))
    return np.asarray(np.nan_to_num(octaves).clip(0, _MOST_STRETCHED), np.float32)


def _spacing(columns: np.ndarray, rows: np.ndarray, valid: np.ndarray) -> float:
    """Median distance of neighbouring places, pixels of the reference."""
    if not valid[:, 1:].any():
        return 1.0
    steps = np.hypot(np.diff(columns, axis=1), np.diff(rows, axis=1))
    return float(np.median(steps[valid[:, 1:]]))
