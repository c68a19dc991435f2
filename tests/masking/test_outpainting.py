import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realfill.album.settings import AlbumSettings
from realfill.core.errors import MaskError
from realfill.masking.outpainting import Extension, compute_extension, extend_image

lengths = st.one_of(
    st.integers(0, 500).map(lambda n: f"{n}px"), st.floats(0, 200).map(lambda share: f"{share:.3f} %")
)


@given(st.integers(16, 4000), st.integers(16, 4000), lengths, lengths)
def test_outpainting_adds_what_is_asked_for(width: int, height: int, left: str, bottom: str) -> None:
    settings = AlbumSettings.model_validate({"outpaint": {"left": left, "bottom": bottom, "right": "1px"}})
    extension = compute_extension(settings, width, height, 1000.0)
    for added, length, whole in ((extension.left, left, width), (extension.bottom, bottom, height)):
        number = float(length.split("%")[0].removesuffix("px"))
        assert added == pytest.approx(number * whole / 100 if "%" in length else number, abs=0.51)
    assert (extension.right, extension.top) == (1, 0)


@given(st.integers(100, 4000), st.integers(100, 4000), st.integers(1, 20), st.integers(1, 20))
def test_outpainting_reaches_the_aspect_ratio(width: int, height: int, across: int, down: int) -> None:
    settings = AlbumSettings.model_validate({"aspect": f"{across}:{down}"})
    try:
        added = compute_extension(settings, width, height, 1000.0)
    except MaskError:
        assert width / height == pytest.approx(across / down, rel=0.02)
        return
    wide, tall = width + added.left + added.right, height + added.top + added.bottom
    assert abs(wide - tall * across / down) <= max(1, across / down)
    assert min(wide - width, tall - height) == 0
    assert abs(added.left - added.right) <= 1 and abs(added.top - added.bottom) <= 1


def test_an_album_without_outpainting_is_not_extended() -> None:
    assert compute_extension(AlbumSettings(), 160, 120, 1.0) == Extension()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"outpaint": {"left": "0px"}}, "not extended"),
        ({"outpaint": {"left": "99999999999px"}}, "megapixels"),
        ({"aspect": "4:3"}, "not extended"),
        ({"aspect": "0:3"}, "aspect ratio '0:3' is not plausible"),
        ({"aspect": "2:1", "outpaint": {"left": "10%"}}, "Both outpaint and aspect"),
    ],
)
def test_a_mistaken_extension_is_explained(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(MaskError, match=problem):
        compute_extension(AlbumSettings.model_validate(settings), 160, 120, 150.0)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_an_image_is_extended_with_one_value(shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    extended = extend_image(image, Extension(left=2, top=1, right=3), 200)
    assert extended.shape[:2] == (4, 9)
    assert np.array_equal(extended[1:, 2:6], image)
    assert (extended[0] == 200).all() and (extended[:, :2] == 200).all() and (extended[:, 6:] == 200).all()
