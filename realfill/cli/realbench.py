"""`realfill evaluate --realbench`: completing and scoring all scenes of a RealBench folder."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path

from realfill.album.lock import album_lock
from realfill.cli.complete_albums import AlbumOutcome, attempt, complete_album, print_outcomes
from realfill.cli.console import print_line
from realfill.cli.options import AlbumOptions
from realfill.core.atomic_io import require_replaceable
from realfill.core.errors import AlbumError, RealFillError, printable
from realfill.evaluation.realbench import SceneScores, missing_metrics, score_scene
from realfill.evaluation.realbench_table import summarize, write_realbench


def evaluate_realbench(folder: Path, options: AlbumOptions, *, as_json: bool) -> list[AlbumOutcome]:
    """Complete and score every scene of a RealBench folder, and write `realbench/` beside the scenes' results.

    What is up to date is not made again: an interrupted run goes on where it stopped. A scene that fails does not
    stop the others.

    Args:
        folder: The folder that holds the scenes.
        options: Where the outputs go and which parameters the scenes get.
        as_json: Print a JSON document instead of the table.

    Returns:
        The outcomes, scene by scene; those that failed have been printed.

    Raises:
        AlbumError: There is no scene in the folder.
        OutputError: The table would replace something that realfill did not write.
    """
    scenes = find_scenes(folder)
    written = (options.out or folder) / "realbench"
    require_replaceable(written)
    scores: list[SceneScores] = []
    outcomes: list[AlbumOutcome] = []
    for scene in scenes:
        outcome = complete_album(scene, options, force=False)[0]  # a scene has one target
        if not outcome.error:
            scored, evaluated = attempt(scene, "evaluate", partial(_score, scene, options))
            scores += [scored] if scored else []
            outcome = outcome if scored else evaluated
        outcomes.append(outcome)
    failed = {each.name: _describe_failure(each.error, each.folder, options) for each in outcomes if each.error}
    document = write_realbench(written, scores, failed, missing_metrics())
    if as_json:
        rows = [asdict(row) for row in summarize(scores)]
        values = {"table": rows, "scenes": [scene.to_json() for scene in scores], "failed": failed}
        print_line(json.dumps(values | {"missing": missing_metrics()}, indent=2))
    else:
        print_outcomes(outcomes)
        print_line(document.read_text(encoding="utf-8"))
        print_line(f"table  {document}")
    return outcomes


def find_scenes(folder: Path) -> list[Path]:
    """The scenes of a RealBench folder: its subfolders with target/ or ref/, in the order of their numbers or names.

    Raises:
        AlbumError: There is none.
    """
    folders = folder.iterdir() if folder.is_dir() else ()
    scenes = [
        path for path in folders if path.name[0] != "." and ((path / "target").is_dir() or (path / "ref").is_dir())
    ]
    if not scenes:
        remedy = "Give the folder that holds RealBench's scenes: 0/, 1/ and so on, each with target/ and ref/."
        raise AlbumError("There is no scene in this folder.", remedy, folder)
    return sorted(scenes, key=lambda path: [(int(d or 0), t) for d, t in re.findall(r"(\d+)|(\D+)", path.name)])


def _describe_failure(error: RealFillError, scene: Path, options: AlbumOptions) -> str:
    """The error's text with paths relative to the scene, so that it is the same on every machine."""
    text = str(error)
    for folder in (scene, options.results_folder(scene) or scene):
        place = printable(os.path.realpath(folder))
        text = text.replace(f"{place}/", "").replace(f"{place}: ", "")
    return text


def _score(scene: Path, options: AlbumOptions) -> SceneScores:
    album, params = options.open(scene)
    with album_lock(album):
        return score_scene(album, params)
