"""Which family a model on disk is of, and what is said of one that is of none."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from realfill.core.errors import ModelError
from realfill.diffusion.family_recognition import recognize_checkpoint, recognize_folder
from realfill.diffusion.model_files import locate_model
from realfill.diffusion.model_registry import FAMILIES
from support.model_families import write_fill_checkpoint, write_tiny_family

LISTED = {"_class_name": "Flux2Pipeline", "text_encoder": ["transformers", "Mistral3ForConditionalGeneration"]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model of each family."""
    root = tmp_path_factory.mktemp("families")
    return {family: write_tiny_family(family, root / family) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_is_known_by_its_parts(folders: dict[str, Path], family: str) -> None:
    assert recognize_folder(folders[family]) == family


@pytest.mark.parametrize(("family", "part"), [("sdxl", "text_encoder_2"), ("flux2_klein", "tokenizer")])
def test_a_folder_that_lacks_a_part_is_told_as_one_of_its_family(
    folders: dict[str, Path], family: str, part: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    shutil.rmtree(folder / part)
    assert recognize_folder(folder) == family
    with pytest.raises(ModelError, match=rf"model: The base model lacks {part}/"):
        locate_model(str(folder))


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("transformer/config.json", "{", "damaged"),
        ("transformer/config.json", [], "damaged"),
        ("vae/config.json", "", "damaged"),
        ("scheduler/scheduler_config.json", "\0", "damaged"),
        ("model_index.json", "[", "damaged"),
        ("transformer/config.json", {}, "the class None, which no known family has"),
        (
            "transformer/config.json",
            {"_class_name": "SD3Transformer2DModel"},
            "'SD3Transformer2DModel', which no known",
        ),
        ("transformer/config.json", {"_class_name": "Flux2Transformer2DModel"}, "in_channels is None"),
        ("vae/config.json", {"_class_name": "AutoencoderKL"}, "flux2_klein has AutoencoderKLFlux2"),
        ("model_index.json", LISTED, "text_encoder is of the class 'Mistral3.*has Qwen3ForCausalLM"),
    ],
)
def test_a_broken_or_unknown_configuration_is_named_before_anything_is_loaded(
    folders: dict[str, Path], file: str, content: Any, told: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["flux2_klein"], tmp_path / "model"))
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ModelError, match=told) as caught:
        locate_model(str(folder))
    assert caught.value.path == folder / file


def test_a_model_without_mask_channels_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["sd"], tmp_path / "text-to-image"))
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"in_channels": 4}))
    with pytest.raises(ModelError, match=r"unet/config\.json: .* 4 input channels; inpainting needs 9"):
        recognize_folder(folder)


def test_a_folder_without_a_denoiser_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks unet/config\.json or transformer/config\.json"):
        recognize_folder(tmp_path)


def test_a_checkpoint_is_recognized_by_its_tensors(tmp_path: Path) -> None:
    assert recognize_checkpoint(write_fill_checkpoint(tmp_path / "fill.safetensors", 384)) == "flux_fill"
    with pytest.raises(ModelError, match="64 input channels"):
        recognize_checkpoint(write_fill_checkpoint(tmp_path / "dev.safetensors", 64))
    save_file({"a": torch.zeros(1)}, tmp_path / "lora.safetensors")
    save_file(
        {"img_in.weight": torch.zeros(1), "double_blocks.0.img_mod.lin.weight": torch.zeros(1)}, tmp_path / "1d"
    )
    with pytest.raises(ModelError, match="0 input channels"):
        recognize_checkpoint(tmp_path / "1d")
    with pytest.raises(ModelError, match="none of the families"):
        recognize_checkpoint(tmp_path / "lora.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x09")
    with pytest.raises(ModelError, match="cannot be read"):
        recognize_checkpoint(tmp_path / "cut.safetensors")
