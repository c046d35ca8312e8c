"""Settings of training, and the presets that name whole sets of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from omnicxr.domain import UserError
from omnicxr.models.generator.network import GeneratorConfig
from omnicxr.models.image_autoencoder import ImageAutoencoderConfig


@dataclass(frozen=True, kw_only=True)
class OptimizationConfig:
    """How one stage is optimised."""

    steps: int
    batch_size: int
    """Studies (or pictures) per step on each process."""
    learning_rate: float
    warmup_steps: int = 100
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise UserError("Steps and batch size must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class ReportShape:
    """Report autoencoder settings that do not depend on the tokenizer."""

    latent_tokens: int = 8
    latent_channels: int = 32
    width: int = 160
    encoder_depth: int = 3
    decoder_depth: int = 3
    heads: int = 5


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything that decides a model. One dial: sizes of the networks, then length of each stage."""

    name: str
    image_size: int
    vocab_size: int = 2048
    max_tokens: int = 96
    image_autoencoder: ImageAutoencoderConfig
    refiner_channels: int
    report_autoencoder: ReportShape
    prompt_dim: int
    image_channels: tuple[int, ...]
    """Stages of the prompt encoders' and the judge's image trunks."""
    trunk_image_size: int = 128
    """Side at which those see pictures; larger ones are averaged down."""
    generator_width: int
    generator_depth: int
    generator_heads: int
    patch: int = 2
    coupling: str = "joint"
    given_sees_generated: bool = False
    prompted: bool = True
    prediction: str = "velocity"
    preconditioned: bool = True
    principal_axes: int = 0
    local_channels: int = 64
    image_kl: float = 5e-7
    """Weight of the nats of a picture's latents in the autoencoder's loss."""
    image_decoder_only: bool = False
    """The stage `image-autoencoder` trains the decoder of the model it starts from and leaves encoder and latents as
    they are."""
    report_kl: float = 0.004
    mirrored_negatives: bool = True
    """Prompt encoders tell each view from its own report with left and right exchanged, beside other studies'
    reports."""
    contrastive_weight: float = 0.02
    """Weight of the contrastive term between streams in the generator's loss."""
    together_share: float = 0.05
    """Share of the micro-batches that generate several parts at once; they cost most, and sampling in turn
    (`SamplingConfig.order`) never does so."""
    report_share: float = 0.2
    """Share of the others that generate a report, which has several draws in each: fewer where reports are learned by
    heart while views still improve (`held-out.jsonl`)."""
    report_draws: int = 4
    """Times and noises drawn for each study where its report alone is generated; what is given, the costly part, is
    worked out once for them."""
    time_shift: float = -0.3
    """Mean of the logit-normal training times of views: above 0 trains more near noise, where the coarse structure is
    decided, below 0 more near data, where rims, vessels and leads are."""
    time_spread: float = 1.6
    """Standard deviation of their logits: above 1 trains more at both ends."""
    report_time_shift: float = 0.35
    report_time_spread: float = 1.3
    """The same of reports, which have nothing fine."""
    coarse_levels: int = 0
    """Levels of the coarse-to-fine error of image latents; 0 is the plain mean square."""
    drop_given: float = 0.1
    """Share of micro-batches whose given modalities are dropped, for guidance."""
    drop_prompt: float = 0.3
    """Share of the others in which only the tokens of what is given are seen and its prompt embedding is not: with the
    embedding always there, the tokens are never learned from (LOG.md)."""
    optimization: dict[str, OptimizationConfig]
    """Stage => its optimisation."""

    def __post_init__(self) -> None:
        self.generator_config()  # refuses what does not go together, before anything is trained
        for name in ("together_share", "report_share"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise UserError(f"{name} is {share}: choose a share from 0 to 1.")

    def generator_config(self) -> GeneratorConfig:
        return GeneratorConfig(
            image_channels=self.image_autoencoder.latent_channels,
            patch=self.patch,
            latent_size=self.image_size // self.image_autoencoder.pixels_per_latent,
            report_tokens=self.report_autoencoder.latent_tokens,
            report_channels=self.report_autoencoder.latent_channels,
            prompt_dim=self.prompt_dim,
            width=self.generator_width,
            depth=self.generator_depth,
            heads=self.generator_heads,
            coupling=self.coupling,
            given_sees_generated=self.given_sees_generated,
            prompted=self.prompted,
            prediction=self.prediction,
            preconditioned=self.preconditioned,
            principal_axes=self.principal_axes,
            local_channels=self.local_channels,
        )

    def guide_config(self) -> GeneratorConfig:
        """The guide's: half as wide, two thirds as deep. It is to have the generator's faults, and more of them (Karras
        et al. 2024)."""
        whole = self.generator_config()
        return replace(
            whole,
            width=whole.width // 2,
            heads=max(1, whole.heads // 2),
            depth=math.ceil(2 * whole.depth / 3),
            local_channels=whole.local_channels // 2,
        )

    def with_steps(self, steps: int | None) -> Preset:
        """The same preset with every stage cut or stretched to `steps`."""
        if steps is None:
            return self
        return replace(self, optimization={k: replace(o, steps=steps) for k, o in self.optimization.items()})

    def with_values(self, values: Mapping[str, str]) -> Preset:
        """The same preset with other values of fields, named like `drop_prompt` or `optimization.generator.batch_size`.

        Raises UserError for an unknown name and for a value that does not fit.
        """
        return _changed(self, values) if values else self


def _changed(of: Any, values: Mapping[str, str], within: str = "") -> Any:
    """`of` (a dataclass, or a dict of them) with fields read from texts, all at once, so that only the whole has to go
    together."""
    known = of if isinstance(of, dict) else vars(of) if is_dataclass(of) else {}
    fields: dict[str, dict[str, str]] = {}
    for name, text in values.items():
        first, _, rest = name.partition(".")
        if first not in known:
            raise UserError(
                f"A preset has no setting '{within}{name}'" + (f": choose from {', '.join(known)}." if known else ".")
            )
        fields.setdefault(first, {})[rest] = text
    new = {
        name: _read(known[name], within + name, texts[""])
        if list(texts) == [""]
        else _changed(known[name], texts, f"{within}{name}.")
        for name, texts in fields.items()
    }
    return {**of, **new} if isinstance(of, dict) else replace(of, **new)  # pyright: ignore[reportArgumentType]


def _read(old: Any, name: str, text: str) -> Any:
    """Text as a value of the type of the one that it replaces."""
    kinds: dict[type, Callable[[str], Any]] = {
        bool: {"true": True, "false": False}.__getitem__,
        int: int,
        float: float,
        str: str,
    }
    if type(old) not in kinds:
        raise UserError(f"'{name}' is not one number or word: it can only be changed in a preset.")
    try:
        return kinds[type(old)](text)
    except (KeyError, ValueError):
        raise UserError(f"'{text}' does not fit '{name}', which is {old}: write a value of that kind.") from None


def _stages(**steps_batch_rate: tuple[int, int, float]) -> dict[str, OptimizationConfig]:
    return {
        name.replace("_", "-"): OptimizationConfig(
            steps=s, batch_size=b, learning_rate=r, warmup_steps=min(200, s // 10 + 1)
        )
        for name, (s, b, r) in steps_batch_rate.items()
    }


_NANO = Preset(
    name="nano",
    image_size=64,
    vocab_size=320,
    max_tokens=64,
    image_autoencoder=ImageAutoencoderConfig(latent_channels=4, widths=(16, 32), encoder_blocks=1, decoder_blocks=1),
    refiner_channels=16,
    report_autoencoder=ReportShape(
        latent_tokens=4, latent_channels=16, width=64, encoder_depth=1, decoder_depth=1, heads=2
    ),
    prompt_dim=32,
    image_channels=(16, 32),
    trunk_image_size=64,
    local_channels=16,
    generator_width=32,
    generator_depth=2,
    generator_heads=2,
    optimization=_stages(
        image_autoencoder=(30, 4, 1e-3),
        report_autoencoder=(30, 8, 1e-3),
        prompt_encoders=(20, 8, 1e-3),
        refiner=(20, 4, 2e-3),
        judge=(20, 8, 1e-3),
        generator=(30, 4, 1e-3),
        guide=(20, 4, 1e-3),
    ),
)
_TINY = Preset(
    name="tiny",
    image_size=128,
    image_autoencoder=ImageAutoencoderConfig(latent_channels=16, widths=(64, 128), encoder_blocks=2, decoder_blocks=3),
    refiner_channels=96,
    report_autoencoder=ReportShape(),
    prompt_dim=192,
    image_channels=(32, 64, 128, 192),
    principal_axes=256,
    generator_width=192,
    generator_depth=6,
    generator_heads=6,
    optimization=_stages(
        image_autoencoder=(5000, 16, 1e-3),
        report_autoencoder=(2700, 64, 1.5e-3),
        prompt_encoders=(2000, 64, 1e-3),
        refiner=(4500, 16, 1e-3),
        judge=(1800, 48, 1e-3),
        generator=(6000, 32, 1e-3),
        guide=(4000, 16, 1e-3),
    ),
)
_SMALL = replace(
    _TINY,
    name="small",
    image_size=256,
    image_autoencoder=replace(_TINY.image_autoencoder, pixels_per_latent=16),
    generator_depth=8,
    optimization=_stages(
        image_autoencoder=(20_000, 64, 1e-3),
        report_autoencoder=(15_000, 128, 5e-4),
        prompt_encoders=(6000, 128, 5e-4),
        refiner=(12_000, 96, 1e-3),
        judge=(8000, 64, 5e-4),
        generator=(20_000, 1024, 1e-3),
        guide=(4000, 16, 1e-3),
    ),
)
_BASE = Preset(
    name="base",
    image_size=256,
    vocab_size=8192,
    max_tokens=256,
    image_autoencoder=ImageAutoencoderConfig(latent_channels=16, widths=(192, 384), encoder_blocks=3, decoder_blocks=6),
    refiner_channels=192,
    report_autoencoder=ReportShape(
        latent_tokens=16, latent_channels=64, width=512, encoder_depth=6, decoder_depth=6, heads=8
    ),
    prompt_dim=512,
    image_channels=(64, 128, 256, 512),
    trunk_image_size=256,
    generator_width=768,
    generator_depth=16,
    generator_heads=12,
    optimization=_stages(
        image_autoencoder=(100_000, 64, 2e-4),
        report_autoencoder=(60_000, 256, 3e-4),
        prompt_encoders=(40_000, 256, 3e-4),
        refiner=(50_000, 64, 2e-4),
        judge=(40_000, 128, 3e-4),
        generator=(300_000, 256, 2e-4),
        guide=(30_000, 256, 2e-4),
    ),
)
PRESETS = {preset.name: preset for preset in (_NANO, _TINY, _SMALL, _BASE)}
"""nano: tests. tiny: 128 px, 2 CPU cores, about five hours. small: its networks, a little deeper, at 256 px, one GPU.
base: 256 px, about 400 M parameters, one node."""


def get_preset(name: str) -> Preset:
    """The preset of that name; raises UserError with the known names."""
    if name not in PRESETS:
        raise UserError(f"Unknown preset '{name}': choose from {', '.join(PRESETS)}.")
    return PRESETS[name]
