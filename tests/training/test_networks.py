import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional

from networks import create_autoencoder, create_unet


def test_the_autoencoder_starts_as_averaging_and_interpolation() -> None:
    photo = torch.tensor(data.astronaut()[:256, :256]).permute(2, 0, 1)[None] / 127.5 - 1  # [1, 3, 256, 256]
    torch.manual_seed(0)
    model = create_autoencoder(16).eval()
    with torch.no_grad():
        latents = model.encode(photo).latent_dist.mean
        output = model.decode(latents).sample
    averaged = functional.avg_pool2d(photo, 4)
    assert latents.shape == (1, 4, 64, 64)
    correlation = np.corrcoef(latents[0, :3].flatten().numpy(), averaged[0].flatten().numpy())[0, 1]
    assert correlation > 0.98
    assert 10 * float(torch.log10(4 / ((output - photo) ** 2).mean())) > 18


@pytest.mark.parametrize("width", [16, 32])
def test_the_unet_takes_latents_mask_and_masked_latents_and_starts_at_zero(width: int) -> None:
    model = create_unet(width)
    with torch.no_grad():
        output = model(torch.randn(2, 9, 16, 16), torch.tensor([1, 999]), torch.randn(2, 77, 64)).sample
    assert output.shape == (2, 4, 16, 16)
    assert float((output - output.mean(dim=(0, 2, 3), keepdim=True)).abs().max()) < 1e-6
