"""Whether a machine has the memory that training needs, told from the settings alone, before any work."""

from __future__ import annotations

import os

from omnicxr.domain import UserError
from omnicxr.models.efficientnet import GRID
from omnicxr.training.config import Preset

BYTES_PER_PARAMETER = 20
"""Weights, gradients, averages, and two moments of AdamW, in float32."""
BYTES_PER_PIXEL = 64
"""Of a batch: its pictures and the least that networks make of them."""


def parameters(preset: Preset) -> int:
    """About how many parameters the largest network has: what grows with the square of a width."""
    g, r, image = preset.generator, preset.report_autoencoder, preset.image_autoencoder
    latents = preset.generator_config().latent_size ** 2 * image.latent_channels
    return max(
        3 * 12 * g.depth * g.width**2 + 2 * min(g.principal_axes, latents) * latents,
        12 * (r.encoder_depth + r.decoder_depth) * r.width**2 + 2 * preset.vocab_size * r.width,
        18 * (image.encoder_blocks + image.decoder_blocks) * sum(w * w for w in image.widths),
        72 * preset.refiner_channels**2,
        36 * sum(c * c for c in preset.trunk_channels) if preset.image_trunk == "own" else 2 * GRID * preset.prompt_dim,
    )


def check_memory(preset: Preset) -> None:
    """Raises UserError where a machine's memory cannot hold the largest network, or the largest batch of pictures."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    batch = max(o.batch_size for name, o in preset.optimization.items() if name not in ("generator", "guide"))
    for what, needed in (
        ("networks", BYTES_PER_PARAMETER * parameters(preset)),
        ("batches", BYTES_PER_PIXEL * batch * preset.image_size**2),
    ):
        if needed > there:
            raise UserError(
                f"The {what} of these settings need about {needed / 1e9:.0f} GB to train, this machine has"
                f" {there / 1e9:.0f}: choose smaller ones, or a smaller preset."
            )
