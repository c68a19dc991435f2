import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from realfill.core.errors import ModelError
from realfill.core.params import BaseParams
from realfill.diffusion import model_files
from realfill.diffusion.base_model import load_base_model
from realfill.diffusion.model_files import (
    ModelLocation,
    find_variant,
    locate_model,
    model_digest,
)
from realfill.diffusion.model_memory import read_spec
from realfill.diffusion.model_registry import MODELS, ModelSpec
from realfill.doctor import examine_model
from support.model_families import write_fill_checkpoint, write_tiny_family


@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_family("flux2_klein", tmp_path_factory.mktemp("models") / "klein")


def test_a_missing_model_is_reported_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match="^The base model sd2-inpainting is not on this machine. Run `realfill fetch sd2"
    ):
        locate_model("sd2-inpainting")
    with pytest.raises(ModelError, match="pocket, sd2-inpainting"):
        locate_model(str(tmp_path / "nowhere"))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"There is no base model 'sd1'.*pocket, sd2-inpainting"):
        locate_model("sd1")


def test_a_folder_on_disk_is_a_model_of_the_family_that_its_parts_are_of(tiny_model: Path, klein: Path) -> None:
    assert locate_model(str(tiny_model)).folder == tiny_model
    assert locate_model(str(tiny_model)).spec.family == "sd"
    assert locate_model(str(klein)).spec.family == "flux2_klein"


def test_an_incomplete_folder_is_refused_with_the_missing_file(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks vae/config\.json"):
        locate_model(str(folder))


def test_a_missing_shard_is_named(klein: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(klein, tmp_path / "sharded"))
    encoder = folder / "text_encoder"
    (encoder / "model.safetensors").rename(encoder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (encoder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(ModelError, match=r"lacks text_encoder/model-00002-of-00002\.safetensors"):
        locate_model(str(folder))


@pytest.mark.parametrize("index", ["{", "{}", '{"weight_map": ["a"]}'])
def test_a_damaged_index_of_shards_is_refused(klein: Path, tmp_path: Path, index: str) -> None:
    folder = Path(shutil.copytree(klein, tmp_path / "sharded"))
    (folder / "text_encoder" / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json: The index names no weights"):
        locate_model(str(folder))


def test_what_is_neither_a_folder_nor_safetensors_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: The base model is not there"):
        locate_model(str(tmp_path / "nowhere"))
    (tmp_path / "model.ckpt").write_bytes(b"pickled")
    with pytest.raises(ModelError, match=r"model\.ckpt: The base model is neither a folder nor a \.safetensors"):
        locate_model(str(tmp_path / "model.ckpt"))


def test_damaged_weights_are_one_clear_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(ModelError, match="unet: This part of the model cannot be loaded"):
        load_base_model(BaseParams(model=str(folder), device="cpu")).part("unet")
    with pytest.raises(ModelError, match="The weights are damaged"):
        read_spec(str(folder))
    states = {finding.part: finding.state for finding in examine_model(str(folder)) if not finding.works}
    assert states == {f"model {folder}": f"{weights}: The weights are damaged."}


def test_a_damaged_tokenizer_or_schedule_is_one_clear_error(klein: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(klein, tmp_path / "model"))
    (folder / "tokenizer" / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="tokenizer: This part of the model cannot be loaded"):
        load_base_model(BaseParams(model=str(folder), device="cpu")).part("tokenizer")
    schedule = tmp_path / "schedule"
    shutil.copytree(klein, schedule)
    (schedule / "scheduler" / "scheduler_config.json").write_text('{"num_train_timesteps": "nine"}')
    with pytest.raises(ModelError, match=r"scheduler_config\.json: The configuration cannot be used"):
        load_base_model(BaseParams(model=str(schedule), device="cpu"))


def test_pickles_do_not_count(klein: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(klein, tmp_path / "pickled"))
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(ModelError, match=r"lacks transformer/diffusion_pytorch_model\.safetensors"):
        locate_model(str(folder))


def test_the_half_precision_variant_is_used_where_it_alone_is_there(tmp_path: Path) -> None:
    folder = write_tiny_family("sdxl", tmp_path / "sdxl")
    for path in folder.rglob("*.safetensors"):
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    assert find_variant(folder, "unet") == find_variant(folder, "text_encoder_2") == "fp16"
    model = load_base_model(BaseParams(model=str(folder), device="cpu"))
    assert model.part("unet").config.in_channels == 9
    assert model.embed(["a photo"])["prompt"].shape == (1, 77, 64)


def test_a_folder_of_stable_diffusion_may_have_one_file_for_its_tokenizer_and_half_precision(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    CLIPTokenizer.from_pretrained(folder / "tokenizer").save_pretrained(folder / "tokenizer")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    for name in ("vocab.json", "merges.txt"):
        (folder / "tokenizer" / name).unlink()
    model = load_base_model(BaseParams(model=str(folder), device="cpu"))
    assert model.part("unet").config.in_channels == 9
    assert model.embed(["a photo"])["prompt"].shape == (1, 77, 32)
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"lacks tokenizer/merges\.txt"):
        locate_model(str(folder))


def test_a_packaged_model_needs_no_download_and_can_be_replaced(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locate_model("pocket").spec is MODELS["pocket"]
    shutil.copytree(tiny_model, tmp_path / "pocket")
    monkeypatch.setenv("REALFILL_MODELS", str(tmp_path))
    assert locate_model("pocket").folder == tmp_path / "pocket"


def test_the_digest_covers_the_files_that_are_loaded_and_no_others(tiny_model: Path, tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(tiny_model, tmp_path / name)) for name in ("same", "noted", "changed")]
    (copies[1] / "README.md").write_text("A note.")
    config = copies[2] / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("1000", "999"))
    same, noted, changed = (model_digest(locate_model(str(copy))) for copy in copies)
    assert same == noted == model_digest(locate_model(str(tiny_model)))
    assert changed != same


def test_the_other_parts_of_a_checkpoint_are_those_of_the_registered_model(tmp_path: Path) -> None:
    path = write_fill_checkpoint(tmp_path / "fill.safetensors", 384)
    with pytest.raises(
        ModelError, match="supplies the denoiser alone.*realfill fetch flux1-fill-dev --without-denoiser"
    ):
        locate_model(str(path))


def test_a_checkpoint_takes_the_place_of_the_denoiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny_family("sdxl", tmp_path / "sdxl")
    monkeypatch.setattr(model_files, "find_snapshot", lambda spec: folder)
    weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    checkpoint = {f"model.diffusion_model.{key}": value for key, value in to_original_unet(weights).items()}
    save_file(checkpoint, tmp_path / "checkpoint.safetensors")
    model = load_base_model(BaseParams(model=str(tmp_path / "checkpoint.safetensors"), device="cpu"))
    loaded = model.part("unet").state_dict()
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    other = ModelLocation(folder, ModelSpec("sdxl", "attention", "unknown"), tmp_path / "other.safetensors")
    save_file(checkpoint | {"note": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert model.digest != model_digest(other)


def to_original_unet(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of Stability's own checkpoints for a UNet of two levels with one layer each."""
    blocks = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "down_blocks.0.resnets.0": "input_blocks.1.0",
        "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
        "down_blocks.1.resnets.0": "input_blocks.3.0",
        "down_blocks.1.attentions.0": "input_blocks.3.1",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "up_blocks.0.resnets.0": "output_blocks.0.0",
        "up_blocks.0.attentions.0": "output_blocks.0.1",
        "up_blocks.0.resnets.1": "output_blocks.1.0",
        "up_blocks.0.attentions.1": "output_blocks.1.1",
        "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv",
        "up_blocks.1.resnets.0": "output_blocks.2.0",
        "up_blocks.1.resnets.1": "output_blocks.3.0",
    }
    layers = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    renamed = {}
    for key, value in weights.items():
        prefix = max((name for name in blocks if key.startswith(f"{name}.")), key=len)
        rest = key.removeprefix(f"{prefix}.")
        if ".resnets." in f".{prefix}.":
            layer = rest.split(".")[0]
            rest = rest.replace(layer, layers[layer], 1)
        renamed[f"{blocks[prefix]}.{rest}"] = value
    return renamed
