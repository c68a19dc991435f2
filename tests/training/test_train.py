"""The training commands, with tiny networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from skimage import data
from typer.testing import CliRunner

import train
from realfill.core.params import BaseParams
from realfill.diffusion.base_model import load_base_model
from realfill.diffusion.model_files import MODEL_FILES

TRAINING = Path(train.__file__).parent
TINY_VAE: dict[str, Any] = {"steps": 3, "batch": 1, "window_size": 32, "width": 8}
TINY_UNET: dict[str, Any] = {
    "steps": 3,
    "batch": 1,
    "width": 16,
    "pairs": 2,
    "uses": 1,
    "pictures": False,
}


def write_crops(folder: Path) -> Path:
    crops = np.stack([data.astronaut()[i : i + 256, i : i + 256] for i in (0, 99, 200)])
    folder.mkdir()
    np.save(folder / "crops.npy", crops)
    np.save(folder / "heldout.npy", crops[:1])
    return folder


def load_unet_files(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


@pytest.mark.parametrize(("name", "options"), [("vae", TINY_VAE), ("unet", TINY_UNET)])
def test_training_goes_on_exactly_where_it_stopped(name: str, options: dict[str, object], tmp_path: Path) -> None:
    folders = [write_crops(tmp_path / "whole"), write_crops(tmp_path / "parts")]
    command = getattr(train, name)
    command(folders[0], **options)
    for _ in range(3):
        command(folders[1], **options, minutes=0)
    whole, parts = (list(folder.glob(f"{name}/*/*.safetensors")) for folder in folders)
    assert sorted(path.parent.name for path in whole) == ["step-0000003"] * len(whole)
    assert [path.read_bytes() for path in sorted(whole)] == [path.read_bytes() for path in sorted(parts)]
    assert max(path.stat().st_size for path in whole) < 16e6
    assert all(torch.isfinite(tensor).all() for path in whole for tensor in load_file(path).values())


def test_the_exported_folder_is_a_base_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work, model_dir = write_crops(tmp_path / "work"), tmp_path / "model"
    train.vae(work, **TINY_VAE)
    train.export(work, model_dir, include_unet=False)
    assert not (model_dir / "unet").exists()
    train.unet(work, model_dir, **TINY_UNET, average_dir=tmp_path / "average")
    train.export(work, model_dir)
    averages, published = (load_unet_files(folder) for folder in (tmp_path / "average", model_dir / "unet"))
    assert all(torch.equal(averages[name], tensor) for name, tensor in published.items())
    assert all((model_dir / name).is_file() for name in MODEL_FILES)
    model = load_base_model(BaseParams(model=str(model_dir), device="cpu"))
    assert (model.resolution, model.vae_scale_factor) == (256, 4)
    crop = np.load(work / "crops.npy")[:1]
    latents, _ = model.encode(crop)
    assert float(latents.std()) == pytest.approx(1, abs=0.3)
    capsys.readouterr()
    train.samples(work, model_dir, count=1, steps=1)
    assert (work / "samples.png").is_file()
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "round trip",
        "fill, before",
        "fill, strength 1.0",
        "repair, before",
        *(f"repair, strength {strength}" for strength in (1.0, 0.5, 0.25, 0.125)),
    ]


def test_the_weights_are_published_where_realfill_loads_them() -> None:
    assert (train.WEIGHTS / "unet" / "config.json").is_file()


def test_every_command_of_the_pipeline_is_understood() -> None:
    pipeline = yaml.safe_load((TRAINING / "dvc.yaml").read_text())
    params = yaml.safe_load((TRAINING / "params.yaml").read_text())
    for stage in pipeline["stages"].values():
        command = stage["cmd"].replace("${python}", "python")
        for section, values in params.items():
            for key, value in values.items():
                command = command.replace(f"${{{section}.{key}}}", str(value))
        assert "$" not in command
        _, script, *arguments = command.split()
        assert (TRAINING / script).is_file()
        result = CliRunner().invoke(train.app, [*arguments, "--help"])
        assert result.exit_code == 0, result.output
