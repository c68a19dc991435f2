"""What it costs to give up candidates after a part of their steps, in quality, and what it saves.

For each album K candidates from pure noise are sampled to the end, and previews are taken on the way. All are judged
as `rank` does. Printed: Spearman's correlation of the scores of previews and of finished candidates; how often the
best finished candidate is kept; the score and PSNR inside the hole of the best candidate, of all and of those kept.

usage: python bench/early_rejection.py FOLDER ALBUM... [--candidates 8] [--after .125 .25 .5] [--reject 0.5]
       [--set finetune.steps=0]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pocket import read_truth_window
from scipy.stats import spearmanr

from realfill.album.discovery import open_album
from realfill.album.store import accepted_references
from realfill.core.params import load_params
from realfill.diffusion.album_inputs import encode_training_bank, read_shown_references
from realfill.diffusion.base_model import load_base_model
from realfill.diffusion.inpainting_sampler import EarlyRejectionSettings, sample_candidates
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.evaluation.metrics import psnr
from realfill.imaging.ops import Pixels
from realfill.pipeline import run_stage
from realfill.selection.early_rejection import make_preview_judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--after", type=float, nargs="+", default=[0.125, 0.25, 0.5])
    parser.add_argument("--reject", type=float, default=0.5)
    parser.add_argument("--set", dest="assignments", nargs="+", default=[])
    arguments = parser.parse_args()
    print("| album | after | Spearman | best kept | score, all / kept | PSNR, all / kept | random half |")
    print(f"|{'---|' * 7}")
    rows: dict[float, list[list[float]]] = {after: [] for after in arguments.after}
    for path in arguments.albums:
        truth, mask, finished, previews, scores = measure(arguments, path)
        psnrs = [psnr(picture[mask], truth[mask]) for picture in finished]
        for after, early in previews.items():
            row = compare(early, scores, psnrs, arguments.reject)
            rows[after].append(row)
            print(f"| {path.name} | {after} | {format_row(row)} |", flush=True)
    for after, measured in rows.items():
        print(f"| mean | {after} | {format_row(np.mean(measured, axis=0).tolist())} |")


def compare(early: list[float], scores: list[float], psnrs: list[float], reject: float) -> list[float]:
    """One row of the table: of those kept, the one with the best final score is delivered."""
    order = sorted(range(len(early)), key=lambda index: (-early[index], index))
    kept = order[: max(1, round(len(order) * (1 - reject)))]
    best, best_kept = int(np.argmax(scores)), max(kept, key=scores.__getitem__)
    rng = np.random.default_rng(0)
    halves = [max(rng.permutation(len(scores))[: len(kept)], key=scores.__getitem__) for _ in range(2000)]
    return [
        float(spearmanr(early, scores).statistic),
        float(best in kept),
        scores[best],
        scores[best_kept],
        psnrs[best],
        psnrs[best_kept],
        float(np.mean([psnrs[index] for index in halves])),
    ]


def format_row(row: list[float]) -> str:
    correlation, is_kept, all_score, kept_score, all_psnr, kept_psnr, random_psnr = row
    return (
        f"{correlation:.2f} | {is_kept:.2f} | {all_score:.2f} / {kept_score:.2f} "
        f"| {all_psnr:.2f} / {kept_psnr:.2f} | {random_psnr:.2f}"
    )


def measure(
    arguments: argparse.Namespace, path: Path
) -> tuple[Pixels, Pixels, Pixels, dict[float, list[float]], list[float]]:
    """Ground truth, hole, finished candidates, scores of previews after each part of the steps, and final scores."""
    album = open_album(path, arguments.folder / path.resolve().name)
    params = load_params(assignments=["align.enabled=false", "finetune.when=always", *arguments.assignments])
    model = load_base_model(params.base)
    truth, photo, mask = read_truth_window(album, params, model.resolution)
    run_stage("align", album, params)
    judge = make_preview_judge(album)
    previews: dict[float, list[float]] = {}
    with LoraTrainer(model, encode_training_bank(album, params.finetune, model), params.finetune) as trainer:
        for step in range(params.finetune.steps):
            trainer.train_step(step)
        for name in model.tuned_parts:
            model.part(name).eval()
        references = read_shown_references(accepted_references(album), model)
        count, prompt = arguments.candidates, params.finetune.prompt
        sample = params.sample.model_copy(update={"reject": 0.99})
        for after in arguments.after:

            def remember(pictures: Sequence[Pixels], after: float = after) -> list[float]:
                previews[after] = judge(pictures)
                return previews[after]

            settings = EarlyRejectionSettings(after)
            sample_candidates(
                model,
                photo,
                mask,
                count,
                sample,
                prompt,
                references=references,
                judge=remember,
                settings=settings,
            )
        sampled = sample_candidates(model, photo, mask, count, params.sample, prompt, references=references)
    finished = sampled.images
    return truth, mask, finished, previews, judge(list(finished))


if __name__ == "__main__":
    main()
