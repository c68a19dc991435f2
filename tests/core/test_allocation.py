import subprocess
import sys

SCRIPT = """
import resource, sys
import numpy as np
from realfill.core.allocation import keep_freed_memory
if sys.argv[1:]:
    keep_freed_memory()
def compute():
    first = np.ones((384, 512, 3), np.float32)
    second = first * first + first
    return np.dstack([second, first]) > 1
for _ in range(50):
    compute()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def test_freed_memory_is_used_again() -> None:
    faults = [
        int(subprocess.run([sys.executable, "-c", SCRIPT, *words], check=True, capture_output=True).stdout)
        for words in ([], ["keep"])
    ]
    assert faults[1] < faults[0] / 2
