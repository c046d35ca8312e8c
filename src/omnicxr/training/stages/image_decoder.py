"""A sharper decoder for trained latents: perceptual and adversarial losses, the encoder left as it is.

Latents stay what they were, so a generator that was trained on them stays right. The perceptual features are those of the prompt encoders, which are
trained before; no network that measures is used.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES
from omnicxr.models.component import Component
from omnicxr.models.image_autoencoder import ImageAutoencoder, pixels_from_uint8, structural_similarity, uint8_from_pixels
from omnicxr.models.layers import ImageTrunk
from omnicxr.models.prompts import PromptEncoders
from omnicxr.training.batches import EpochSampler
from omnicxr.training.config import Preset
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_reconstructions
from omnicxr.training.stages.image_autoencoder import EDGE_WEIGHT, SSIM_WEIGHT, differences

PERCEPTUAL_WEIGHT, ADVERSARIAL_WEIGHT = 0.3, 0.03
CRITIC_ALONE = 0.1
"""Share of the steps in which only the critic learns from the decoder, not yet the decoder from the critic."""
CRITIC_CHANNELS = (32, 64, 128)


class Critic(nn.Sequential):
    """Pictures [b, 1, s, s] => how real each patch looks [b, 1, s/8, s/8] (Isola et al. 2017)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for before, width in zip((1, *CRITIC_CHANNELS), CRITIC_CHANNELS, strict=False):
            layers += [nn.utils.parametrizations.spectral_norm(nn.Conv2d(before, width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.utils.parametrizations.spectral_norm(nn.Conv2d(CRITIC_CHANNELS[-1], 1, 3, padding=1)))


class DecoderAndCritic(Component):
    """What is trained: the decoder of an autoencoder, and the critic that is thrown away in the end."""

    def __init__(self, autoencoder: ImageAutoencoder) -> None:
        super().__init__(autoencoder.config)
        self.decoder, self.critic = autoencoder.decoder, Critic()
        self._whole = (autoencoder,)  # in a tuple: its encoder is not to be trained

    def save(self, folder: Path, *, half: bool = False) -> None:
        """The whole autoencoder, with the new decoder."""
        self._whole[0].save(folder, half=half)

    def judge(self, x: Tensor) -> Tensor:
        """The critic's opinion, through which the critic itself does not learn."""
        return functional_call(self.critic, {k: v.detach() for k, v in self.critic.named_parameters()}, (x,))


class ImageDecoderStage:
    """Loss of the decoder: L1 + edges + SSIM + distance of the prompt encoders' features + hinge loss of the critic; of the critic: hinge."""

    name = "image-decoder"

    def __init__(self, preset: Preset, data: PreparedDataset, held_out: PreparedDataset, autoencoder: ImageAutoencoder, prompts: PromptEncoders,
                 *, seed: int, world_size: int) -> None:  # fmt: skip
        self.autoencoder, self.prompts = autoencoder, prompts
        self.model = DecoderAndCritic(autoencoder)
        self.data, self.held_out = data, held_out
        optimization = preset.optimization[self.name]
        self.critic_alone = CRITIC_ALONE * optimization.steps
        self.samplers = {m: EpochSampler(len(data.having(m)), optimization.batch_size // 2 or 1, seed=seed, world_size=world_size)
                         for m in IMAGE_MODALITIES if len(data.having(m))}  # fmt: skip

    def losses(self, model: DecoderAndCritic, step: int, rank: int) -> Losses:
        total: Losses = {}
        for view, sampler in self.samplers.items():
            rows = self.data.having(view)[sampler.batch(step, rank)]
            x = pixels_from_uint8(torch.from_numpy(self.data.images(view, rows))).to(model.device)
            with torch.no_grad():
                z = self.autoencoder.to(model.device).moments(x)[0]
            for name, value in self._of_view(model, x, model.decoder(z), self.prompts.to(model.device).images[view], step).items():
                total[name] = total.get(name, torch.zeros((), device=model.device)) + value / len(self.samplers)
        return total

    def _of_view(self, model: DecoderAndCritic, x: Tensor, y: Tensor, trunk: nn.Module, step: int) -> Losses:
        assert isinstance(trunk, ImageTrunk)
        l1, edges = (y - x).abs().mean(), (differences(y) - differences(x)).abs().mean()
        perceptual = feature_distance(trunk, x, y)
        fooling = -model.judge(y).mean() if step >= self.critic_alone else torch.zeros((), device=x.device)
        critic = F.relu(1 - model.critic(x)).mean() + F.relu(1 + model.critic(y.detach())).mean()
        loss = (
            l1 + EDGE_WEIGHT * edges + SSIM_WEIGHT * (1 - structural_similarity(x, y).mean()) + PERCEPTUAL_WEIGHT * perceptual
            + ADVERSARIAL_WEIGHT * fooling + critic
        )  # fmt: skip
        psnr = 10 * torch.log10(4 / ((y.detach() - x) ** 2).mean())
        return {"loss": loss, "l1": l1.detach(), "perceptual": perceptual.detach(), "fooling": fooling.detach(), "critic": critic.detach(),
                "psnr": psnr}  # fmt: skip

    def finish(self) -> None:
        pass

    def sample_sheet(self, path: Path) -> None:
        """Held-out pictures above their reconstructions."""
        device = self.model.device
        save_reconstructions(
            self.held_out,
            lambda x: uint8_from_pixels(self.model.decoder(self.autoencoder.moments(pixels_from_uint8(x).to(device))[0])),
            path,
        )


def feature_distance(trunk: ImageTrunk, x: Float[Tensor, "b 1 s s"], y: Float[Tensor, "b 1 s s"]) -> Tensor:
    """Mean over the trunk's layers of the squared distance of features of length 1, as in LPIPS (Zhang et al. 2018) without learned weights."""
    distances = []
    with torch.no_grad():
        wanted = _features(trunk, x)
    for a, b in zip(wanted, _features(trunk, y), strict=True):
        distances.append((F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean())
    return torch.stack(distances).mean()


def _features(trunk: ImageTrunk, x: Tensor) -> list[Tensor]:
    out = []
    for layer in trunk.stages:
        x = layer(x)
        out.append(x)
    return out[1:-2]  # without the rearranged pixels, and the last normalisation
