from pathlib import Path

import pytest

from realfill.core.errors import ModelError
from realfill.core.params import BaseParams
from realfill.diffusion.base_model import load_base_model
from realfill.diffusion.model_memory import estimate_memory, read_spec
from realfill.diffusion.model_registry import FAMILIES, MODELS
from support.model_families import write_tiny_family


@pytest.mark.parametrize("name", MODELS)
def test_tuning_and_sampling_need_more_than_the_weights(name: str) -> None:
    spec = MODELS[name]
    need = estimate_memory(spec)
    assert min(need.tuning, need.sampling) > spec.denoiser_gigabytes > 0


def test_the_weights_of_a_folder_are_counted_without_loading_them(tmp_path: Path) -> None:
    folder = write_tiny_family("flux_fill", tmp_path / "fill")
    spec = read_spec(str(folder))
    model = load_base_model(BaseParams(model=str(folder), device="cpu"))
    count = sum(weight.numel() for weight in model.part("transformer").parameters())
    assert spec.denoiser_gigabytes == pytest.approx(2 * count / 1e9)
    assert spec.text_gigabytes > 0
    assert estimate_memory(spec).sampling == pytest.approx(FAMILIES["flux_fill"].sampling_gigabytes, abs=0.01)


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        read_spec(str(tmp_path / "nowhere"))
