import json
from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from model_folder import encode_prompts, write_untrained_parts

POCKET = Path(__file__).resolve().parents[2] / "realfill" / "diffusion" / "pocket"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_untrained_parts(folder)
    return folder


def test_the_folder_is_the_one_that_is_published(folder: Path) -> None:
    names = ["tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/tokenizer_config.json"]
    for name in [*names, "text_encoder/model.safetensors"]:
        assert (folder / name).read_bytes() == (POCKET / name).read_bytes()
    index, published = (json.loads((root / "model_index.json").read_text()) for root in (folder, POCKET))
    assert index | {"_diffusers_version": ""} == published | {"_diffusers_version": ""}
    assert not list(folder.glob("**/.*"))


def test_words_that_are_not_known_are_spelled_out(folder: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    assert len(tokenizer("a photo of sks").input_ids) == 6
    assert len(tokenizer("zebra").input_ids) == 7


def test_the_two_prompts_have_different_embeddings(folder: Path) -> None:
    prompt_embeds = encode_prompts(folder)
    assert prompt_embeds.shape == (2, 77, 64)
    assert not torch.allclose(prompt_embeds[0], prompt_embeds[1])
