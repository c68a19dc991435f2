"""What tuning on an album is worth without geometry (RealFill's own way), by its settings.

Candidates from pure noise, by the base model as it is and by the tuned one, in the square that the model sees, at its
own size: mean PSNR over the hole, over candidates and seeds. Seconds are of the steps alone. The picture shows the
truth and the candidates of the last settings, a row an album.

usage: python bench/tuning.py FOLDER ALBUM... [--seeds 0 1 2] [--try "finetune.rank=64 finetune.lr_unet=0.002"]...
       [--picture FILE]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from pocket import seen

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.core.params import Params, load_params
from realfill.diffusion.base_model import BaseModel, load
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.diffusion.lora_tuning import Tuning
from realfill.diffusion.training_bank import encode_bank
from realfill.evaluation.metrics import psnr
from realfill.imaging.ops import Pixels
from realfill.photo_io.working_files import write_png


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--try", dest="settings", action="append", default=[], help="as after --set; may be repeated")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    albums = [open_album(path, given.folder / path.resolve().name) for path in given.albums]
    settings = ["finetune.steps=0", *(given.settings or [""])]
    headings = ["settings", *(album.name for album in albums), "mean", "seconds"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    for setting in settings:
        told, seconds, pictures = [], [], []
        for album in albums:
            params = load_params(assignments=setting.split())
            model, decibels = load(params.base), []
            truth, photo, mask = seen(album, params, model.resolution)
            for seed in given.seeds:
                seeded = [f"finetune.seed={seed}", f"sample.seed={seed}"]
                params = load_params(assignments=[*setting.split(), *seeded])
                candidates, spent = tuned(model, album, photo, mask, params)
                decibels += [psnr(candidate[mask], truth[mask]) for candidate in candidates]
                seconds.append(spent)
            pictures.append(np.hstack([truth, *candidates]))
            told.append(float(np.mean(decibels)))
        cells = [f"{value:.2f}" for value in [*told, float(np.mean(told))]]
        print(f"| {setting or 'as they are'} | {' | '.join(cells)} | {np.mean(seconds):.0f} |", flush=True)
    if given.picture:
        write_png(given.picture, np.vstack(pictures))


def tuned(model: BaseModel, album: Album, photo: Pixels, mask: Pixels, params: Params) -> tuple[Pixels, float]:
    """Candidates [K, R, R, 3] for the hole [R, R] bool of the photo [R, R, 3], and seconds that tuning took."""
    with Tuning(model, encode_bank(album, params.finetune, model), params.finetune) as tuning:
        started = time.perf_counter()
        for step in range(params.finetune.steps):
            tuning.step(step)
        seconds = time.perf_counter() - started
        for part in (model.unet, model.text_encoder):
            part.eval()
        drawn = sample_candidates(model, photo, mask, params.sample.candidates, params.sample, params.finetune.prompt)
    return drawn.images, seconds


if __name__ == "__main__":
    main()
