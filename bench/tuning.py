"""What tuning on an album gains without geometry (RealFill's own method), by its parameters.

Candidates from pure noise, of the base model as it is and of the tuned one, in the square that the model sees, at its
own size: mean PSNR over the hole, over candidates and seeds. Seconds are of the steps alone. The picture shows the
ground truth and the candidates of the last parameters, one row per album.

usage: python bench/tuning.py FOLDER ALBUM... [--seeds 0 1 2] [--try "finetune.rank=64 finetune.lr_unet=0.002"]...
       [--picture FILE]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from pocket import read_truth_window

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.core.params import Params, load_params
from realfill.diffusion.album_inputs import encode_training_bank
from realfill.diffusion.base_model import BaseModel, load_base_model
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.evaluation.metrics import psnr
from realfill.imaging.ops import Pixels
from realfill.photo_io.working_files import write_png


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--try", dest="trials", action="append", default=[], help="as after --set; may be repeated")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    albums = [open_album(path, arguments.folder / path.resolve().name) for path in arguments.albums]
    headings = ["parameters", *(album.name for album in albums), "mean", "seconds"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    for trial in ["finetune.steps=0", *(arguments.trials or [""])]:
        psnrs, seconds, pictures = [], [], []
        for album in albums:
            mean, spent, picture = measure(album, trial, arguments.seeds)
            psnrs.append(mean)
            seconds += spent
            pictures.append(picture)
        cells = [f"{value:.2f}" for value in [*psnrs, float(np.mean(psnrs))]]
        print(f"| {trial or 'defaults'} | {' | '.join(cells)} | {np.mean(seconds):.0f} |", flush=True)
    if arguments.picture:
        write_png(arguments.picture, np.vstack(pictures))


def measure(album: Album, trial: str, seeds: list[int]) -> tuple[float, list[float], Pixels]:
    """Mean PSNR in dB, seconds of each seed, and a picture of the ground truth and the last seed's candidates."""
    params = load_params(assignments=trial.split())
    model = load_base_model(params.base)
    truth, photo, mask = read_truth_window(album, params, model.resolution)
    psnrs, seconds = [], []
    for seed in seeds:
        assignments = [*trial.split(), f"finetune.seed={seed}", f"sample.seed={seed}"]
        candidates, spent = tune_and_sample(model, album, photo, mask, load_params(assignments=assignments))
        psnrs += [psnr(candidate[mask], truth[mask]) for candidate in candidates]
        seconds.append(spent)
    return float(np.mean(psnrs)), seconds, np.hstack([truth, *candidates])


def tune_and_sample(
    model: BaseModel, album: Album, photo: Pixels, mask: Pixels, params: Params
) -> tuple[Pixels, float]:
    """Candidates [K, R, R, 3] for the hole [R, R] bool of the photo [R, R, 3], and seconds that tuning took."""
    bank = encode_training_bank(album, params.finetune, model)
    with LoraTrainer(model, bank, params.finetune) as trainer:
        started = time.perf_counter()
        for step in range(params.finetune.steps):
            trainer.train_step(step)
        seconds = time.perf_counter() - started
        for name in model.tuned_parts:
            model.part(name).eval()
        prompt, count = params.finetune.prompt, params.sample.candidates
        sampled = sample_candidates(model, photo, mask, count, params.sample, prompt)
    return sampled.images, seconds


if __name__ == "__main__":
    main()
