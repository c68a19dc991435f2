"""Tuning and sampling an album with a model of each family: what the stages write does not depend on it."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from realfill.album.layout import Album
from realfill.core.params import Params
from realfill.diffusion.lora_files import EXPORTED_ADAPTER
from realfill.diffusion.model_registry import FAMILIES
from realfill.stages import finetune, sample
from support.finished_album import finish
from support.model_families import write_tiny_family


@pytest.fixture
def album(album_folder: Path) -> Album:
    return finish(album_folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_album_is_tuned_and_sampled(family: str, album: Album, quick_params: Params, tmp_path: Path) -> None:
    folder = write_tiny_family(family, tmp_path / family)
    base = quick_params.base.model_copy(update={"model": str(folder)})
    quick = quick_params.finetune.model_copy(update={"steps": 2, "when": "always"})
    params = quick_params.model_copy(update={"base": base, "finetune": quick})
    tuned = finetune.run(album, params)
    assert tuned.steps == 2
    assert tuned.adapter is not None
    denoiser = FAMILIES[family].denoiser
    assert (tuned.adapter / denoiser / "adapter_model.safetensors").is_file()
    assert any(denoiser in key for key in load_file(tuned.adapter / EXPORTED_ADAPTER))
    rows = sample.run(album, params).candidates
    assert [row.kind for row in rows] == ["noise", "noise"]
    assert {row.scheduler for row in rows} == {"euler" if family.startswith("flux") else "dpmsolver++"}
