from pathlib import Path

import pytest
from PIL import ExifTags, Image

from realfill.imaging.ops import Pixels
from realfill.photo_io.lens import LensSettings, read_lens
from support.camera_photos import save_image


def exif(maker: str = "Canon", focal: float | None = 24.0, equivalent: int | None = 38) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Model] = maker, "EOS"
    details = tags.get_ifd(ExifTags.IFD.Exif)
    if focal is not None:
        details[ExifTags.Base.FocalLength] = focal
    if equivalent is not None:
        details[ExifTags.Base.FocalLengthIn35mmFilm] = equivalent
    return tags.tobytes()


def test_photos_of_one_camera_at_one_setting_share_a_name(tmp_path: Path, picture: Pixels) -> None:
    upright = save_image(tmp_path / "a.jpg", picture, exif=exif())
    on_its_side = save_image(tmp_path / "b.jpg", picture.swapaxes(0, 1), exif=exif())
    zoomed = save_image(tmp_path / "c.jpg", picture, exif=exif(focal=35.0))
    cropped = save_image(tmp_path / "d.jpg", picture[:100], exif=exif())
    names = [read_lens(path)[1] for path in (upright, on_its_side, zoomed, cropped)]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert None not in names


@pytest.mark.parametrize(
    ("equivalent", "focal"), [(38, 38.0), (5, 5.0), (4, None), (0, None), (2001, None), (None, None)]
)
def test_a_focal_length_is_believed_where_it_is_plausible(
    tmp_path: Path, picture: Pixels, equivalent: int | None, focal: float | None
) -> None:
    assert read_lens(save_image(tmp_path / "a.jpg", picture, exif=exif(equivalent=equivalent)))[0] == focal


def test_what_is_plausible_is_a_setting(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.jpg", picture, exif=exif(equivalent=38))
    assert read_lens(path, LensSettings(min_focal=50))[0] is None


def test_a_camera_without_a_maker_or_a_focal_length_has_no_name(tmp_path: Path, picture: Pixels) -> None:
    for tags in (exif(maker=" "), exif(focal=None)):
        assert read_lens(save_image(tmp_path / "a.jpg", picture, exif=tags))[1] is None


def test_a_photo_without_readable_metadata_tells_nothing(tmp_path: Path, picture: Pixels) -> None:
    path = save_image(tmp_path / "a.jpg", picture)
    assert read_lens(path) == (None, None)
    path.write_bytes(path.read_bytes()[:30])
    assert read_lens(path) == (None, None)
