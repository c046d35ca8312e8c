"""The presets: one dial from tests to a node of GPUs."""

from __future__ import annotations

from dataclasses import replace

from omnicxr.domain import UserError
from omnicxr.models.generator.config import GeneratorSizes
from omnicxr.models.image_autoencoder import ImageAutoencoderConfig
from omnicxr.models.report_autoencoder import ReportAutoencoderSizes
from omnicxr.training.config import OptimizationConfig, Preset


def _stages(**steps_batch_rate: tuple[int, int, float]) -> dict[str, OptimizationConfig]:
    return {
        name.replace("_", "-"): OptimizationConfig(steps=steps, batch_size=batch, learning_rate=rate)
        for name, (steps, batch, rate) in steps_batch_rate.items()
    }


NANO = Preset(
    name="nano",
    image_size=64,
    vocab_size=320,
    max_tokens=64,
    image_autoencoder=ImageAutoencoderConfig(latent_channels=4, widths=(16, 32), encoder_blocks=1, decoder_blocks=1),
    report_autoencoder=ReportAutoencoderSizes(
        latent_tokens=4, latent_channels=16, width=64, encoder_depth=1, decoder_depth=1, heads=2
    ),
    refiner_channels=16,
    prompt_dim=32,
    trunk_channels=(16, 32),
    trunk_image_size=64,
    generator=GeneratorSizes(width=32, depth=2, heads=2, local_channels=16, principal_axes=16),
    optimization=_stages(
        image_autoencoder=(30, 4, 1e-3),
        report_autoencoder=(60, 8, 2e-3),
        prompt_encoders=(20, 8, 1e-3),
        refiner=(20, 4, 2e-3),
        generator=(30, 4, 1e-3),
        guide=(20, 4, 1e-3),
        judge=(20, 8, 1e-3),
    ),
)
TINY = Preset(
    name="tiny",
    image_size=128,
    image_autoencoder=ImageAutoencoderConfig(),
    report_autoencoder=ReportAutoencoderSizes(),
    refiner_channels=96,
    prompt_dim=192,
    trunk_channels=(32, 64, 128, 192),
    generator=GeneratorSizes(depth=6),
    optimization=_stages(
        image_autoencoder=(5000, 16, 1e-3),
        report_autoencoder=(2700, 64, 1.5e-3),
        prompt_encoders=(2000, 64, 1e-3),
        refiner=(4500, 16, 1e-3),
        generator=(6000, 32, 1e-3),
        guide=(4000, 16, 1e-3),
        judge=(1800, 48, 1e-3),
    ),
)
SMALL = replace(
    TINY,
    name="small",
    image_size=256,
    image_autoencoder=ImageAutoencoderConfig(pixels_per_latent=16),
    generator=GeneratorSizes(depth=8),
    optimization=_stages(
        image_autoencoder=(20_000, 64, 1e-3),
        report_autoencoder=(15_000, 128, 5e-4),
        prompt_encoders=(6000, 128, 5e-4),
        refiner=(12_000, 96, 1e-3),
        generator=(20_000, 1024, 1e-3),
        guide=(4000, 16, 1e-3),
        judge=(8000, 64, 5e-4),
    ),
)
PUBLISHED = replace(
    SMALL, name="published", design="published", report_autoencoder=ReportAutoencoderSizes(latent_tokens=1)
)
BASE = Preset(
    name="base",
    image_size=256,
    vocab_size=8192,
    max_tokens=256,
    image_autoencoder=ImageAutoencoderConfig(widths=(192, 384), encoder_blocks=3, decoder_blocks=6),
    report_autoencoder=ReportAutoencoderSizes(
        latent_tokens=16, latent_channels=64, width=512, encoder_depth=6, decoder_depth=6, heads=8
    ),
    refiner_channels=192,
    prompt_dim=512,
    trunk_channels=(64, 128, 256, 512),
    trunk_image_size=256,
    generator=GeneratorSizes(width=768, depth=16, heads=12),
    optimization=_stages(
        image_autoencoder=(100_000, 64, 2e-4),
        report_autoencoder=(60_000, 256, 3e-4),
        prompt_encoders=(40_000, 256, 3e-4),
        refiner=(50_000, 64, 2e-4),
        generator=(300_000, 256, 2e-4),
        guide=(30_000, 256, 2e-4),
        judge=(40_000, 128, 3e-4),
    ),
)
PRESETS = {preset.name: preset for preset in (NANO, TINY, SMALL, BASE, PUBLISHED)}
"""nano: tests. tiny: 128 px, 2 CPU cores, about five hours. small: its networks, a little deeper, at 256 px, one GPU.
base: 256 px, about 400 M parameters, one node. published: the published design at the size of small, for comparison."""


def get_preset(name: str) -> Preset:
    """The preset of that name; raises UserError with the known names."""
    if name not in PRESETS:
        raise UserError(f"Unknown preset '{name}': choose from {', '.join(PRESETS)}.")
    return PRESETS[name]
