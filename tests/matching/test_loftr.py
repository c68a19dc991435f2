from pathlib import Path

import pytest

from realfill.core.errors import ModelError
from realfill.matching.loftr import LoftrMatcher


def test_loftr_is_never_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="once with internet access") as error:
        LoftrMatcher()
    assert error.value.path == tmp_path / "hub" / "checkpoints" / "loftr_outdoor.ckpt"
    assert list(tmp_path.iterdir()) == []
