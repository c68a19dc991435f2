"""Compilation: when a tuning is compiled, what is said where it cannot be, and that nothing of it stays behind."""

import logging
import shutil

import numpy as np
import pytest
import torch

from realfill.core.params import FinetuneParams
from realfill.diffusion import compilation, lora_tuning
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.compilation import missing_compiler, wants_compilation
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.training_bank import encode_crops

CUDA = torch.device("cuda")


def test_only_long_tunings_on_a_gpu_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "missing_compiler", lambda: "")
    assert wants_compilation(CUDA, 20_000)
    assert not wants_compilation(CUDA, 2000)
    assert not wants_compilation(torch.device("cpu"), 20_000)


@pytest.mark.parametrize("missing", ["Triton", "C compiler"])
def test_a_missing_compiler_is_named_in_a_warning(
    missing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    has_triton = missing != "Triton"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if has_triton else None)
    monkeypatch.setattr(shutil, "which", lambda name: None if has_triton else "/usr/bin/cc")
    with caplog.at_level(logging.WARNING):
        assert not wants_compilation(CUDA, 20_000)
    assert missing in missing_compiler()
    assert missing in caplog.text
    assert "slower" in caplog.text


def test_a_compiled_tuning_learns_the_same_and_leaves_the_model_as_it_was(
    model: BaseModel,
    scene: tuple[np.ndarray, np.ndarray],
    finetune: FinetuneParams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a backend that runs the captured graph as written, so that the test needs no compiler."""
    image, mask = scene
    bank = encode_crops(model, [image], [mask], [np.zeros_like(mask)])
    with LoraTrainer(model, bank, finetune) as trainer:
        written = [trainer.train_step(step) for step in range(2)]
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    monkeypatch.setattr(lora_tuning, "wants_compilation", lambda *_: True)
    monkeypatch.setattr(lora_tuning, "compile_network", lambda network: network.compile(backend=backend))
    with LoraTrainer(model, bank, finetune) as trainer:
        compiled = [trainer.train_step(step) for step in range(2)]
    assert compiled == pytest.approx(written, rel=1e-4)
    assert len(graphs) == 1, "one graph, without breaks, for all steps"
    assert model.part("unet")._compiled_call_impl is None
