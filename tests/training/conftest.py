"""The training scripts are no package: their folder is put on the path, as it is when one of them is run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "training" / "pocket"))
