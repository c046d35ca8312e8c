"""Stage 1: the image autoencoder, on all pictures of both views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from omnicxr.models.image_autoencoder import (
    ImageAutoencoder,
    pixels_from_uint8,
    structural_similarity,
    uint8_from_pixels,
)
from omnicxr.training.batches import EpochSampler, Pictures, evenly, held_out_pictures
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_reconstructions
from omnicxr.training.stages.context import StageContext

SSIM_WEIGHT, EDGE_WEIGHT, SCALE_WEIGHT = 0.1, 0.5, 0.5
KL_WEIGHT = 5e-7
"""Of the nats of a picture's latents; docs/decisions.md, "Image latents"."""
STATISTICS_IMAGES, EFFECT_BATCHES, EFFECT_STEP = 1024, 4, 0.3


class ImageAutoencoderStage:
    """Loss: L1 + SSIM + L1 of the picture's differences (edges) + a KL term + a scale term.

    The scale term asks latents at half size to decode to the picture at half size (as in EQ-VAE, arXiv 2502.09509):
    latents become smooth over the picture, which the generator learns faster.

    """

    name = "image-autoencoder"

    def __init__(self, context: StageContext) -> None:
        model = ImageAutoencoder(context.preset.image_autoencoder)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pictures, self.held_out = Pictures(context.data, context.device), context.held_out
        self.sampler = EpochSampler(
            len(self.pictures), context.batch_size(self.name), seed=context.seed, world_size=context.world_size
        )

    def _pixels(self, chosen: np.ndarray) -> Tensor:
        """Of training pictures, [b, 1, s, s]."""
        return self._input(self.pictures[chosen])

    def losses(self, model: ImageAutoencoder, step: int, rank: int) -> Losses:
        """Of one micro-batch of training."""
        return self._losses(model, self._pixels(self.sampler.batch(step, rank)))

    def held_out_losses(self, model: ImageAutoencoder) -> list[Losses]:
        """Of held-out micro-batches, always the same ones."""
        return [self._losses(model, self._input(x)) for x in held_out_pictures(self.held_out)]

    def _losses(self, model: ImageAutoencoder, x: Tensor) -> Losses:
        mean, logvar = model.moments(x)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
        y = model.decode_raw(z)
        l1 = (y - x).abs().mean()
        edges = (differences(y) - differences(x)).abs().mean()
        ssim = structural_similarity(x, y).mean()
        psnr = 10 * torch.log10(4 / ((y.detach() - x) ** 2).mean())
        loss = l1 + EDGE_WEIGHT * edges + SSIM_WEIGHT * (1 - ssim)
        losses = {"l1": l1.detach(), "ssim": ssim.detach(), "psnr": psnr}
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum((1, 2, 3)).mean()
        scale = (model.decode_raw(F.avg_pool2d(z, 2)) - F.avg_pool2d(x, 2)).abs().mean()
        return {
            "loss": loss + KL_WEIGHT * kl + SCALE_WEIGHT * scale,
            **losses,
            "kl": kl.detach(),
            "scale": scale.detach(),
        }

    @torch.no_grad()
    def finish(self) -> None:
        """Mean and scale of each latent channel, from training pictures of both views.

        The encoder's channels all have about unit variance, but one of them carries the coarse picture and the others
        fine detail: the same error of the generator does up to 18 times more harm in one than in another. Channels are
        therefore scaled by the root of what they do to the pixels: half-way between unit variance and pixels. All
        together they have variance 1.
        """
        chosen = evenly(len(self.pictures), STATISTICS_IMAGES)
        moments = [self.model.moments(self._pixels(chosen[i : i + 32]))[0] for i in range(0, len(chosen), 32)]
        latents = torch.cat(moments)
        mean = latents.mean((0, 2, 3))
        effect = self._effects(moments[:EFFECT_BATCHES]).sqrt()[None, :, None, None]
        spread = ((latents - mean[None, :, None, None]) * effect).std()
        self.model.latent_mean.copy_(mean)
        self.model.latent_std.copy_(spread / effect.flatten())

    def _effects(self, batches: list[Tensor]) -> Tensor:
        """[c]: root mean square change of the picture when a channel moves by a little with random signs over the
        picture, per unit."""
        squares = torch.zeros(batches[0].shape[1], device=batches[0].device)
        generator = torch.Generator().manual_seed(0)
        for z in batches:
            signs = torch.randint(0, 2, (len(z), *z.shape[-2:]), generator=generator).to(z) * 2 - 1
            before = self.model.decode_raw(z)
            for channel in range(z.shape[1]):
                moved = z.clone()
                moved[:, channel] += EFFECT_STEP * signs
                squares[channel] += ((self.model.decode_raw(moved) - before) / EFFECT_STEP).square().mean() / len(
                    batches
                )
        return squares.sqrt()

    def sample_sheet(self, path: Path) -> None:
        """Held-out pictures above their reconstructions."""
        save_reconstructions(
            self.held_out,
            lambda x: uint8_from_pixels(self.model.decode_raw(self.model.moments(self._input(x))[0])),
            path,
        )

    def _input(self, x: Tensor) -> Tensor:
        return pixels_from_uint8(x).to(self.model.device)


def differences(x: Tensor) -> Tensor:
    """Forward differences along both sides, cropped to the same size: [b, 2, s-1, s-1]."""
    here = x[..., :-1, :-1]
    return torch.cat([x[..., 1:, :-1] - here, x[..., :-1, 1:] - here], 1)
