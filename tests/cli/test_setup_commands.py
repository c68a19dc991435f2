"""Commands that set up and check the installation."""

import os
import subprocess
import sys


def test_the_doctor_looks_at_everything() -> None:
    command, wide = [sys.executable, "-m", "realfill", "doctor"], os.environ | {"COLUMNS": "200"}
    output = subprocess.run(command, env=wide, capture_output=True, text=True, check=False).stdout
    for part in ("torch", "model pocket", "model sd2-inpainting", "matcher xfeat", "dvc", "prefect"):
        assert part in output
    assert "realfill fetch sd2-inpainting" in output


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "realfill", *words]
    return subprocess.run(command, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True, check=False)


def test_models_says_what_is_here_and_what_it_needs() -> None:
    output = run("models").stdout
    for part in ("pocket", "realfill fetch flux2-klein-base-4b", "16.0 GB", "Apache-2.0", "Non-Commercial, gated"):
        assert part in output


def test_the_doctor_says_whether_a_model_fits() -> None:
    done = run("doctor", "--model", "pocket")
    assert done.returncode == 0, done.stdout
    assert "memory to sample" in done.stdout
    assert "memory to tune" in done.stdout
    missing = run("doctor", "--model", "flux1-fill-dev")
    assert missing.returncode == 1
    assert "realfill fetch flux1-fill-dev" in missing.stdout
