"""Downloads, with a hub that lies on the disk."""

import hashlib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError

from realfill.core.errors import ModelError, SpaceError
from realfill.diffusion.model_download import allowed_patterns, fetch_model
from realfill.diffusion.model_registry import MODELS

Hub = Callable[..., Any]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Takes the place of the hub: remembers what was asked for; every file of it is there and has 5 bytes."""
    calls: list[dict[str, Any]] = []
    snapshot, blobs = tmp_path / "snapshot", tmp_path / "blobs"
    blobs.mkdir()

    def download(repository: str, *, dry_run: bool = False, **options: Any) -> Any:
        calls.append({"repository": repository, "dry_run": dry_run} | options)
        if dry_run:
            return [SimpleNamespace(file_size=5, will_download=True)]
        for pattern in options.get("allow_patterns", []):
            if "*" not in pattern:
                path = snapshot / pattern
                path.parent.mkdir(parents=True, exist_ok=True)
                blob = blobs / hashlib.sha256(b"bytes").hexdigest()
                blob.write_bytes(b"bytes")
                path.unlink(missing_ok=True)
                path.symlink_to(blob)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    return calls


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="There is no base model 'sd1'.*pocket, sd2-inpainting"):
        fetch_model("sd1")


def test_a_packaged_model_is_not_downloaded(hub: list[dict[str, Any]]) -> None:
    assert (fetch_model("pocket") / "unet").is_dir()
    assert not hub


def test_license_and_size_are_said_before_the_download(hub: list[dict[str, Any]]) -> None:
    told: list[str] = []

    def announce(line: str) -> None:
        assert all(call["dry_run"] for call in hub), "nothing is downloaded before it is said"
        told.append(line)

    fetch_model("sd2-inpainting", announce)
    assert "CreativeML Open RAIL++-M" in told[0]
    assert "0.0 GB to download" in told[1]
    assert not hub[-1]["dry_run"]
    assert hub[-1]["revision"] == MODELS["sd2-inpainting"].revision


def test_a_gated_model_without_a_token_is_one_error(hub: list[dict[str, Any]]) -> None:
    with pytest.raises(ModelError, match=r"gated.*Accept it at https://huggingface\.co/.*hf auth login") as raised:
        fetch_model("flux1-fill-dev")
    assert raised.value.__cause__ is None
    assert not hub


def test_a_token_without_access_is_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise GatedRepoError("403", response=SimpleNamespace(headers={}, request=None))  # type: ignore[arg-type]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_x")
    with pytest.raises(ModelError, match="gated.*Accept it"):
        fetch_model("flux1-fill-dev")


def test_nothing_is_downloaded_to_a_full_disk(hub: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1e9))
    with pytest.raises(SpaceError, match=r"1\.0 GB of the disk are free.*HF_HUB_CACHE"):
        fetch_model("sd2-inpainting")
    assert [call["dry_run"] for call in hub] == [True]


def test_a_damaged_file_is_removed(
    hub: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = huggingface_hub.snapshot_download

    def damage(*arguments: Any, **options: Any) -> Any:
        folder = download(*arguments, **options)
        for blob in (tmp_path / "blobs").iterdir():
            blob.write_bytes(b"bits")
        return folder

    monkeypatch.setattr(huggingface_hub, "snapshot_download", damage)
    with pytest.raises(ModelError, match="damaged and was removed"):
        fetch_model("sd2-inpainting")
    assert not list((tmp_path / "blobs").iterdir())


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.repository])
def test_neither_pickles_nor_redundant_checkpoints_are_downloaded(name: str) -> None:
    patterns = allowed_patterns(MODELS[name])
    unwanted = [
        "flux-2-klein-base-4b.safetensors",
        "flux1-fill-dev.safetensors",
        "ae.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "text_encoder/pytorch_model.bin",
        "text_encoder/model.fp32.safetensors",
        "safety_checker/model.safetensors",
    ]
    assert not [file for file in unwanted for pattern in patterns if fnmatch(file, pattern)]


def test_the_denoiser_is_left_out_where_a_checkpoint_supplies_it() -> None:
    patterns = allowed_patterns(MODELS["flux1-fill-dev"], with_denoiser=False)
    assert "transformer/config.json" in patterns
    assert not any(
        fnmatch("transformer/diffusion_pytorch_model-00001-of-00003.safetensors", each) for each in patterns
    )
    assert any(fnmatch("text_encoder_2/model-00001-of-00002.safetensors", each) for each in patterns)


def test_shards_and_one_variant_are_downloaded() -> None:
    klein, sdxl = (allowed_patterns(MODELS[name]) for name in ("flux2-klein-base-4b", "sdxl-inpainting"))
    for file in ("text_encoder/model-00001-of-00002.safetensors", "text_encoder/model.safetensors.index.json"):
        assert any(fnmatch(file, pattern) for pattern in klein)
    assert any(fnmatch("unet/diffusion_pytorch_model.fp16.safetensors", pattern) for pattern in sdxl)
    assert not any(fnmatch("unet/diffusion_pytorch_model.safetensors", pattern) for pattern in sdxl)
