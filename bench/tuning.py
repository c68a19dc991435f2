"""What tuning on an album gains, by its parameters.

Candidates of the base model as it is and of the tuned one, in the square that the model sees, at its own size: mean
PSNR over the hole, over candidates and seeds. They are from pure noise (RealFill's own method, without geometry), or
with --strengths from what `align` placed and these shares of noise (0: pure noise); then each cell has a value for
each. Seconds are of the steps alone. The picture shows the ground truth and the last candidates of the last
parameters, one row per album.

usage: python bench/tuning.py FOLDER ALBUM... [--seeds 0 1 2] [--try "finetune.rank=64 finetune.lr_unet=0.002"]...
       [--strengths 0 0.125 0.5] [--picture FILE]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from pocket import read_truth_window

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.core.params import Params, load_params
from realfill.diffusion.album_inputs import encode_training_bank, read_guide
from realfill.diffusion.base_model import BaseModel, load_base_model
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.evaluation.metrics import psnr
from realfill.imaging.ops import Pixels
from realfill.photo_io.working_files import write_png
from realfill.pipeline import run_stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--try", dest="trials", action="append", default=[], help="as after --set; may be repeated")
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.0])
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    albums = [open_album(path, arguments.folder / path.resolve().name) for path in arguments.albums]
    headings = ["parameters", *(album.name for album in albums), "mean", "seconds"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    for trial in ["finetune.steps=0", *(arguments.trials or [""])]:
        psnrs, seconds, pictures = [], [], []
        for album in albums:
            means, spent, picture = measure(album, trial, arguments.seeds, arguments.strengths)
            psnrs.append(means)
            seconds += spent
            pictures.append(picture)
        cells = [" / ".join(f"{value:.2f}" for value in row) for row in [*psnrs, np.mean(psnrs, axis=0)]]
        print(f"| {trial or 'defaults'} | {' | '.join(cells)} | {np.mean(seconds):.0f} |", flush=True)
    if arguments.picture:
        write_png(arguments.picture, np.vstack(pictures))


def measure(
    album: Album, trial: str, seeds: list[int], strengths: list[float]
) -> tuple[list[float], list[float], Pixels]:
    """Mean PSNR in dB by strength, seconds of each seed, a picture of the ground truth and the last candidates."""
    params = load_params(assignments=trial.split())
    model = load_base_model(params.base)
    truth, photo, mask = read_truth_window(album, params, model.resolution)
    if any(strengths) or params.finetune.composite:
        run_stage("align", album, params)
    psnrs, seconds = [], []
    for seed in seeds:
        assignments = [*trial.split(), f"finetune.seed={seed}", f"sample.seed={seed}"]
        candidates, spent = tune_and_sample(
            model, album, photo, mask, load_params(assignments=assignments), strengths
        )
        psnrs.append([np.mean([psnr(picture[mask], truth[mask]) for picture in kind]) for kind in candidates])
        seconds.append(spent)
    return np.mean(psnrs, axis=0).tolist(), seconds, np.hstack([truth, *candidates[-1]])


def tune_and_sample(
    model: BaseModel, album: Album, photo: Pixels, mask: Pixels, params: Params, strengths: list[float]
) -> tuple[list[Pixels], float]:
    """Candidates [K, R, R, 3] by strength for the hole [R, R] bool of the photo [R, R, 3]; seconds of tuning."""
    bank = encode_training_bank(album, params.finetune, model)
    with LoraTrainer(model, bank, params.finetune) as trainer:
        started = time.perf_counter()
        for step in range(params.finetune.steps):
            trainer.train_step(step)
        seconds = time.perf_counter() - started
        for name in model.tuned_parts:
            model.part(name).eval()
        prompt, count = params.finetune.prompt, params.sample.candidates
        kinds = []
        for strength in strengths:
            guide = read_guide(album, model.resolution, strength) if strength else None
            kinds.append(sample_candidates(model, photo, mask, count, params.sample, prompt, guide=guide).images)
    return kinds, seconds


if __name__ == "__main__":
    main()
