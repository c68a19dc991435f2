"""What holds for every family of base models: one contract, checked on tiny random models."""

from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from realfill.core.hashing import digest
from realfill.core.params import BaseParams, FinetuneParams, SampleParams
from realfill.diffusion import devices, lora_tuning
from realfill.diffusion.base_model import BaseModel, load_base_model, mask_image
from realfill.diffusion.condition import Condition
from realfill.diffusion.denoising_run import InitLatents, advance, predict_guided, start_run
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.diffusion.lora_files import EXPORTED_ADAPTER, write_adapter
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.model_registry import FAMILIES
from realfill.diffusion.training_bank import TrainingBank, encode_crops
from support.model_families import write_tiny_family

PIPELINES = {
    "sd": "StableDiffusionInpaintPipeline",
    "sdxl": "StableDiffusionXLInpaintPipeline",
    "flux_fill": "FluxFillPipeline",
    "flux2_klein": "Flux2KleinInpaintPipeline",
}
PROMPT = "a photo of sks"
FINETUNE = FinetuneParams(steps=3, batch_size=2, rank=2, alpha=4, warmup=0, checkpoint_every=1, dropout=0.1)


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_family(family, tmp_path_factory.mktemp("families") / family)


@pytest.fixture(scope="session")
def model(folder: Path) -> BaseModel:
    return load_base_model(BaseParams(model=str(folder), device="cpu"))


@pytest.fixture(scope="session")
def scene(model: BaseModel) -> tuple[np.ndarray, np.ndarray]:
    """A random picture, and a square hole at the border of latents."""
    side = model.resolution
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), bool)
    mask[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = True
    return image, mask


@pytest.fixture(scope="session")
def bank(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> TrainingBank:
    """Crops of two references and the target, whose hole has no loss."""
    image, mask = scene
    crops = [np.roll(image, shift, axis=1) for shift in (0, 9, 20)]
    holes = [np.zeros_like(mask)] * 2 + [mask]
    return encode_crops(model, crops, [mask] * 3, holes, photos=[0, 1, -1], references=crops[:2])


def test_pictures_are_encoded_to_spatial_latents_and_back(model: BaseModel) -> None:
    side, factor = model.resolution, model.vae_scale_factor
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    mean, std = model.encode(images)
    assert mean.shape == std.shape
    assert (mean.shape[0], *mean.shape[2:]) == (2, side // factor, side // factor)
    assert bool((std >= 0).all())
    decoded = model.decode(mean)
    assert decoded.shape == images.shape
    assert np.isfinite(decoded).all()


def test_latents_have_the_scale_of_the_autoencoder(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> None:
    image, _ = scene
    alone, _ = model.encode(image[None])
    torch.manual_seed(0)
    again, _ = model.encode(np.stack([image, image]))
    assert torch.allclose(again[1], alone[0], atol=1e-5)


def test_no_loss_is_taken_inside_the_targets_hole(
    model: BaseModel, bank: TrainingBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = bank.loss_weight[2:3] == 0
    assert 0 < int(hole.sum()) < hole.numel()
    rows = {name: value[2:3] for name, value in vars(bank).items() if name not in ("references", "reference_dropout")}
    original = LoraTrainer._wanted
    with LoraTrainer(model, replace(bank, **rows), replace_params(dropout=0.0)) as trainer, torch.no_grad():
        batch = trainer.draw_batch(0)
        loss = trainer.compute_loss(batch)
        monkeypatch.setattr(LoraTrainer, "_wanted", lambda self, batch: original(self, batch) + 1e3 * hole)
        assert torch.equal(trainer.compute_loss(batch), loss)
        monkeypatch.setattr(LoraTrainer, "_wanted", lambda self, batch: original(self, batch) + 1e3 * ~hole)
        assert float(trainer.compute_loss(batch)) > 1e3 * float(loss)


def replace_params(**values: object) -> FinetuneParams:
    return FINETUNE.model_copy(update=values)


def test_an_interrupted_tuning_ends_in_the_same_bytes(model: BaseModel, bank: TrainingBank, tmp_path: Path) -> None:
    def interrupt(update: Any) -> None:
        if update.done == 2:
            raise KeyboardInterrupt

    with LoraTrainer(model, bank, FINETUNE) as trainer:
        trainer.train(tmp_path / "whole-checkpoints")
        write_adapter(tmp_path / "whole", model)
    with LoraTrainer(model, bank, FINETUNE) as trainer, pytest.raises(KeyboardInterrupt):
        trainer.train(tmp_path / "checkpoints", interrupt)
    with LoraTrainer(model, bank, FINETUNE) as trainer:
        trainer.train(tmp_path / "checkpoints")
        write_adapter(tmp_path / "resumed", model)
    assert digest(tmp_path / "resumed") == digest(tmp_path / "whole")


def test_activations_are_kept_where_there_is_room_until_memory_runs_out(
    model: BaseModel, bank: TrainingBank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if model.activation_gigabytes in (0, inf):
        pytest.skip("its activations are always kept, or never")
    denoiser, run_pass, asked = model.part(model.denoiser), LoraTrainer._run_pass, []
    params = replace_params(dropout=0.0)

    class Graphs:
        """Passes that are captured, and run out of memory."""

        def __init__(self, run: object) -> None:
            pass

        def capture(self, batch: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    def find_room(device: torch.device, gigabytes: float) -> bool:
        asked.append(gigabytes)
        return True

    def need_little(self: LoraTrainer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if not denoiser.is_gradient_checkpointing:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return run_pass(self, batch)

    with LoraTrainer(model, bank, params) as trainer:
        assert denoiser.is_gradient_checkpointing
        computed_again = [trainer.train_step(step) for step in range(2)]
    monkeypatch.setattr(devices, "has_room", find_room)
    with LoraTrainer(model, bank, params) as trainer:
        assert not denoiser.is_gradient_checkpointing
        assert [trainer.train_step(step) for step in range(2)] == computed_again
    assert asked == [model.activation_gigabytes * (model.resolution / 1024) ** 2 * params.batch_size]
    monkeypatch.setattr(LoraTrainer, "_run_pass", need_little)
    monkeypatch.setattr(lora_tuning, "GraphedPasses", Graphs)
    with LoraTrainer(model, bank, params) as trainer:
        trainer._wants_graphs = True
        assert [trainer.train_step(step) for step in range(2)] == pytest.approx(computed_again, rel=1e-4)
        assert denoiser.is_gradient_checkpointing
    assert not denoiser.is_gradient_checkpointing
    assert caplog.text.count("computed again") == 1


def test_every_layer_with_lora_is_tuned(model: BaseModel, bank: TrainingBank) -> None:
    with LoraTrainer(model, bank, replace_params(prompt_dropout=0.0)) as trainer:
        trainer.compute_loss(trainer.draw_batch(0)).backward()
        weights = [
            (name, weight)
            for part in model.tuned_parts
            for name, weight in model.part(part).named_parameters()
            if weight.requires_grad
        ]
        assert weights
        assert not [name for name, weight in weights if weight.grad is None]


@pytest.mark.parametrize("scheduler", ["dpmsolver++", "unipc", "ddpm", "euler"])
def test_a_candidate_does_not_depend_on_how_many_are_drawn(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray], scheduler: str
) -> None:
    params = SampleParams.model_validate({"steps": 4, "scheduler": scheduler, "batch_size": 4})
    if model.process.scheduler_name(params) != scheduler:
        pytest.skip("it has a scheduler of its own")
    references = [np.roll(scene[0], 5, axis=0)]
    together = sample_candidates(model, *scene, 3, params, PROMPT, references=references).images
    params = params.model_copy(update={"batch_size": 1})
    alone = sample_candidates(model, *scene, 2, params, PROMPT, references=references).images
    assert np.abs(together[:2].astype(int) - alone).max() <= 2
    assert np.abs(together[0].astype(int) - together[1]).mean() > 1


def load_pipeline(family: str, folder: Path) -> Any:
    """diffusers' own pipeline, of the parts in the folder."""
    import transformers

    spec = FAMILIES[family]
    parts: dict[str, Any] = {}
    for name, cls in spec.parts.items():
        if name == "scheduler":
            continue
        library = transformers if name.startswith(("text", "token")) else diffusers
        parts[name] = getattr(library, cls).from_pretrained(folder / name)
    for name, part in parts.items():
        if not name.startswith("tokenizer"):
            part.eval().to(memory_format=torch.channels_last)
    if family == "sd":
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    if family == "sdxl":
        parts |= {"force_zeros_for_empty_prompt": True, "add_watermarker": False}
    if family == "flux2_klein":
        parts["is_distilled"] = False
    flow, euler = diffusers.FlowMatchEulerDiscreteScheduler, diffusers.EulerDiscreteScheduler
    scheduler = (flow if family.startswith("flux") else euler).from_pretrained(folder / "scheduler")
    pipeline = getattr(diffusers, PIPELINES[family])(**parts, scheduler=scheduler)
    pipeline.scheduler = type(scheduler).from_pretrained(folder / "scheduler")  # a pipeline may change the first one
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def to_pixels(image: np.ndarray) -> torch.Tensor:
    """[H, W, 3] uint8 -> [1, 3, H, W] float32, 0 to 1."""
    return torch.from_numpy(image).permute(2, 0, 1)[None] / 255


@torch.no_grad()
def test_sampling_agrees_with_the_pipeline_of_diffusers(
    family: str, folder: Path, model: BaseModel, scene: tuple[np.ndarray, np.ndarray]
) -> None:
    image, mask = scene
    steps, strength, seed = 4, 0.75, 7
    reference = np.roll(image, 11, axis=0)
    pipeline = load_pipeline(family, folder)
    guidance = 30.0 if model.guidance_kind == "embedded" else 3.0
    options = {"image_reference": to_pixels(reference)} if model.max_references else {}
    expected = pipeline(
        prompt=PROMPT,
        image=to_pixels(image),
        mask_image=torch.from_numpy(mask).float()[None, None],
        height=model.resolution,
        width=model.resolution,
        num_inference_steps=steps,
        strength=strength,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        **options,
    )[0]
    generator = torch.Generator().manual_seed(seed)

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        """A sample of the posterior, as the pipelines draw it."""
        mean, std = model.encode_pixels(pixels)
        return mean + std * torch.randn(mean.shape, generator=generator) if std.any() else mean

    pixels, hole = to_pixels(image) * 2 - 1, torch.from_numpy(mask).float()[None, None]
    latents = encode(pixels)
    noise = torch.randn(latents.shape, generator=generator)
    masked = latents if model.blends else encode(pixels * (1 - hole))
    shown = model.encode(reference[None])[0][None] if model.max_references else torch.zeros(1, 0, 1, 1, 1)
    condition = Condition(hole, masked, shown)
    known = 1 - model.downsample_masks(hole)
    init = InitLatents(latents, known if model.blends else torch.zeros_like(known), strength)
    params = SampleParams(steps=steps, scheduler="euler", guidance=guidance)
    trajectory = model.process.trajectory(params, model.tokens(*latents.shape[-2:]), model.device)
    run = start_run([0], ("noise", 0), trajectory, init, latents.shape[1:])
    run = replace(run, noise=noise, latents=run.trajectory.noised(latents, noise, run.done))
    embeddings = model.embed([PROMPT, ""])

    def predict(model_input: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return predict_guided(model, model_input, timestep, condition, embeddings, guidance)

    ours = advance(run, steps, predict, init, lambda _: None).latents
    theirs = expected
    if family == "flux_fill":
        side = latents.shape[-1]
        theirs = pipeline._unpack_latents(expected, model.resolution, model.resolution, pipeline.vae_scale_factor)
        assert theirs.shape[-1] == side
    if family == "flux2_klein":
        mean, std = model._statistics()  # type: ignore[attr-defined]
        ours = torch.nn.functional.pixel_shuffle(ours * std + mean, 2)
    assert float((ours - theirs).abs().max()) <= 1e-5 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("layers", ["attention", "all"])
def test_the_exported_adapter_is_loaded_by_diffusers(
    family: str, folder: Path, model: BaseModel, bank: TrainingBank, layers: str, tmp_path: Path
) -> None:
    with LoraTrainer(model, bank, replace_params(dropout=0.0, lr_unet=0.1, layers=layers)) as trainer:
        trainer.train(tmp_path / "checkpoints")
        write_adapter(tmp_path, model)
        batch = trainer.draw_batch(0)
    prefixes = ("lora_unet_", "lora_te_text_model_encoder_") if model.denoiser == "unet" else ("transformer.",)
    assert all(key.startswith(prefixes) for key in load_file(tmp_path / EXPORTED_ADAPTER))

    def predict() -> torch.Tensor:
        with torch.no_grad():
            condition = Condition(batch["mask"].float(), batch["masked_latents"], batch["references"])
            embeddings = model.embed([PROMPT, PROMPT])
            return model.predict(batch["noise"], batch["times"], condition, embeddings)

    plain = predict()
    with model.use_adapter(tmp_path):
        tuned = predict()
    pipeline = load_pipeline(family, folder)
    pipeline.load_lora_weights(tmp_path)
    parts = {name: model.part(name) for name in model.tuned_parts}
    try:
        for name in parts:
            model.replace_part(name, getattr(pipeline, name).eval())
        loaded = predict()
    finally:
        for name, part in parts.items():
            model.replace_part(name, part)
    assert float((tuned - plain).abs().max()) > 1e-4
    largest = float((loaded - tuned).abs().max())
    assert largest <= (1e-5 if layers == "all" else 0), "convolutions add up in another order"


def test_text_encoders_that_are_not_tuned_run_once(model: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    if model.tunes_text:
        pytest.skip("its text encoder is tuned")
    first = model.embed(["another photo", ""])
    monkeypatch.setattr(type(model), "encode_prompts", lambda *_: pytest.fail("embedded twice"))
    again = model.embed(["", "another photo"])
    assert all(torch.equal(first[name][0], again[name][1]) for name in first)
    assert not set(model.text_parts) & set(model._parts)


def test_the_masked_image_is_gray_in_the_hole(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = scene
    painted = np.where(mask[..., None], np.uint8(255), image)
    assert np.array_equal(mask_image(image, mask), mask_image(painted, mask))
    params = SampleParams(steps=2, candidates=1)
    first, second = (sample_candidates(model, each, mask, 1, params, "").images for each in (image, painted))
    assert np.array_equal(first, second)


def test_only_models_that_look_at_references_see_them(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = scene
    params = SampleParams(steps=2)
    shown = [np.full_like(image, level) for level in (0, 255)]
    black, white, none = (
        sample_candidates(model, image, mask, 1, params, PROMPT, references=each).images
        for each in (shown[:1], shown[1:], [])
    )
    assert np.array_equal(black, white) == np.array_equal(black, none) == (model.max_references == 0)


def test_what_is_known_stays_where_the_model_blends(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> None:
    if not model.blends:
        pytest.skip("it has mask channels")
    image, mask = scene
    first, second = sample_candidates(model, image, mask, 2, SampleParams(steps=2), PROMPT).images.astype(int)
    assert np.abs(first[:2, :2] - second[:2, :2]).max() <= 3, "far from the hole"
    assert np.abs(first[mask] - second[mask]).mean() > 3
