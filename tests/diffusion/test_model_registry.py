import pytest

from realfill.core.params import BASE_MODELS
from realfill.diffusion.families.loading import CLASSES
from realfill.diffusion.model_registry import FAMILIES, MODELS


def test_the_parameters_know_every_model_by_its_name() -> None:
    assert tuple(MODELS) == BASE_MODELS


def test_downloads_are_pinned_to_a_commit() -> None:
    revisions = [spec.revision for spec in MODELS.values() if spec.repository]
    assert revisions
    assert all(revision and len(revision) == 40 for revision in revisions)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_class_and_a_model(family: str) -> None:
    assert CLASSES[family].denoiser == FAMILIES[family].denoiser
    assert set(CLASSES[family].text_parts) <= set(FAMILIES[family].parts)
    assert any(spec.family == family for spec in MODELS.values())


def test_every_model_says_its_license_and_size() -> None:
    for name, spec in MODELS.items():
        assert spec.license, name
        assert (spec.gigabytes > 0) == (spec.repository is not None), name
