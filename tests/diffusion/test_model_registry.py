import shutil
from pathlib import Path

import pytest

from realfill.core.errors import ModelError
from realfill.diffusion.model_registry import MODELS, fetch_model, get_model_spec, locate_model, model_digest


def test_a_missing_model_is_reported_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="realfill fetch sd2-inpainting"):
        locate_model("sd2-inpainting")
    with pytest.raises(ModelError, match="pocket, sd2-inpainting"):
        locate_model(str(tmp_path))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    for use in (locate_model, fetch_model):
        with pytest.raises(ModelError, match="There is no base model 'sd1'.*pocket, sd2-inpainting"):
            use("sd1")


def test_a_folder_on_disk_is_a_model(tiny_model: Path) -> None:
    assert locate_model(str(tiny_model)) == tiny_model
    assert get_model_spec(str(tiny_model)).lora_layers == "attention"


def test_an_incomplete_folder_is_refused_with_the_missing_file(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks vae/config\.json"):
        locate_model(str(folder))


def test_a_packaged_model_needs_no_download_and_can_be_replaced(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch_model("pocket") == locate_model("pocket")
    assert MODELS["pocket"].repository is None
    shutil.copytree(tiny_model, tmp_path / "pocket")
    monkeypatch.setenv("REALFILL_MODELS", str(tmp_path))
    assert locate_model("pocket") == tmp_path / "pocket"


def test_downloads_are_pinned_to_a_commit() -> None:
    revisions = [spec.revision for spec in MODELS.values() if spec.repository]
    assert revisions
    assert all(revision and len(revision) == 40 for revision in revisions)


def test_the_digest_covers_the_files_that_are_loaded_and_no_others(tiny_model: Path, tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(tiny_model, tmp_path / name)) for name in ("same", "noted", "changed")]
    (copies[1] / "README.md").write_text("A note.")
    config = copies[2] / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("1000", "999"))
    same, noted, changed = map(model_digest, copies)
    assert same == noted == model_digest(tiny_model)
    assert changed != same
