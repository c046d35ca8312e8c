"""Settings of training: how a stage is optimised, and what a preset consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Annotated, Any

from omnicxr.domain import UserError
from omnicxr.domain.settings import Between, ImageSize, Settings, check_field, shown
from omnicxr.models.folder import Design
from omnicxr.models.generator.config import PATCH, GeneratorConfig, GeneratorSizes
from omnicxr.models.image_autoencoder import ImageAutoencoderConfig
from omnicxr.models.prompt_encoders import PromptDim
from omnicxr.models.refiner import RefinerChannels
from omnicxr.models.report_autoencoder import ReportAutoencoderSizes
from omnicxr.models.tokenizer import MaxTokens, VocabSize
from omnicxr.models.trunks import ImageTrunkKind, TrunkChannels, TrunkImageSize

TrainingSteps = Annotated[int, Between(1, 100_000_000)]


@dataclass(frozen=True, kw_only=True)
class OptimizationConfig(Settings):
    """How one stage is optimised."""

    steps: TrainingSteps
    batch_size: Annotated[int, Between(1, 16_384)]
    """Studies (or pictures) per step on each process."""
    learning_rate: Annotated[float, Between(1e-9, 10)]

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises: a tenth of all, at most 200."""
        return min(200, self.steps // 10 + 1)


@dataclass(frozen=True, kw_only=True)
class Preset(Settings):
    """Everything that decides a model: sizes of the networks, then length of each stage."""

    name: str
    image_size: ImageSize
    vocab_size: Annotated[VocabSize, Between(259, 262_144)] = 2048
    max_tokens: MaxTokens = 96
    image_autoencoder: ImageAutoencoderConfig
    report_autoencoder: ReportAutoencoderSizes
    refiner_channels: RefinerChannels
    prompt_dim: PromptDim
    trunk_channels: TrunkChannels
    """Stages of the prompt encoders' and the judge's image trunks."""
    trunk_image_size: TrunkImageSize = 128
    """Side at which those see pictures; larger ones are averaged down."""
    image_trunk: ImageTrunkKind = "own"
    """What sees pictures for the prompt encoders and the judge."""
    generator: GeneratorSizes
    picture_versions: Annotated[int, Between(1, 64)] = 1
    """Versions of every training picture that the generator learns from (`augmentation`)."""
    design: Design = "any-to-any"
    """Of the generator: the own one, or the baseline in `baselines/published.py`."""
    optimization: dict[str, OptimizationConfig]
    """Stage => its optimisation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cell = PATCH * self.image_autoencoder.pixels_per_latent
        if self.image_size % cell:
            raise UserError(f"Pictures of {self.image_size} px cannot be cut into tokens of {cell}: choose a multiple.")
        self.generator_config()  # refuses what does not go together, before anything is trained
        self.guide_config()

    def generator_config(self) -> GeneratorConfig:
        """The generator's sizes, and the shapes of the latents that it generates."""
        return self._with_latents(self.generator)

    def guide_config(self) -> GeneratorConfig:
        """The guide's."""
        return self._with_latents(self.generator.for_guide())

    def _with_latents(self, sizes: GeneratorSizes) -> GeneratorConfig:
        return GeneratorConfig(
            image_channels=self.image_autoencoder.latent_channels,
            latent_size=self.image_size // self.image_autoencoder.pixels_per_latent,
            report_tokens=self.report_autoencoder.latent_tokens,
            report_channels=self.report_autoencoder.latent_channels,
            prompt_dim=self.prompt_dim,
            **asdict(sizes),
        )

    def with_steps(self, steps: int | None) -> Preset:
        """The same preset with every stage cut or stretched to `steps`."""
        if steps is None:
            return self
        return replace(self, optimization={k: replace(o, steps=steps) for k, o in self.optimization.items()})

    def with_values(self, values: Mapping[str, str]) -> Preset:
        """The same preset with other values of fields, named like `generator.depth` or `optimization.judge.steps`.

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
            choices = f": choose from {', '.join(known)}." if known else "."
            raise UserError(f"A preset has no setting '{within}{name}'{choices}")
        fields.setdefault(first, {})[rest] = text
    new = {}
    for name, texts in fields.items():
        whole = list(texts) == [""]
        if whole:
            new[name] = _read(known[name], within + name, texts[""])
            check_field(of, name, new[name], within=within)
        else:
            new[name] = _changed(known[name], texts, f"{within}{name}.")
    return {**of, **new} if isinstance(of, dict) else replace(of, **new)  # pyright: ignore[reportArgumentType]


def _read(old: Any, name: str, text: str) -> Any:
    """Text as a value of the type of the one that it replaces."""
    kinds: dict[type, Callable[[str], Any]] = {int: int, float: float, str: str}
    if type(old) not in kinds:
        raise UserError(f"'{name}' is not one number or word: it can only be changed in a preset.")
    try:
        return kinds[type(old)](text)
    except ValueError:
        raise UserError(f"{shown(text)} does not fit '{name}', which is {old}: write a value of that kind.") from None
