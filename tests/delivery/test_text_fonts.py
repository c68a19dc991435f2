import shutil
from pathlib import Path

from realfill.delivery.text_fonts import find_fonts


def test_the_font_that_comes_along_is_enough_for_what_it_has() -> None:
    fonts = find_fonts(["roof Дом Ελλάδα שלום مرحبا ½ é"], ())
    assert [path.name for path in fonts.paths] == ["DejaVuSans.ttf"]
    assert fonts.missing == frozenset()


def test_installed_fonts_are_taken_only_where_letters_are_missing(tmp_path: Path) -> None:
    base = find_fonts(["a"], ()).paths[0]
    shutil.copyfile(base, tmp_path / "NotoSans-Regular.ttf")
    (tmp_path / "broken.otf").write_bytes(b"no font")
    fonts = find_fonts(["写 a\u0301"], [tmp_path, tmp_path / "missing"])
    assert fonts.paths == (base,)
    assert fonts.missing == {"写"}
    assert fonts.replace_missing("写真 a") == "□真 a"
