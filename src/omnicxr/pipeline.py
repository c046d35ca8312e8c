"""Given any parts of a study, generate the others: the one object that a user needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from omnicxr.baselines import published
from omnicxr.baselines.published import PublishedGenerator
from omnicxr.data.files import write_json
from omnicxr.domain import Modality, Notes, Task, UserError
from omnicxr.flow.randomness import random_generators
from omnicxr.flow.refining import refined
from omnicxr.flow.sampling import AUTOGUIDANCE, GuidedGenerator, SamplingConfig, sample
from omnicxr.models.component import Component
from omnicxr.models.devices import usable_device
from omnicxr.models.door import Door
from omnicxr.models.folder import (
    BUNDLED,
    COMPONENT_TYPES,
    INDEX,
    OPTIONAL,
    Design,
    ModelIndex,
    check_parts,
    component_folder,
    components_of,
    load_tokenizer,
    read_index,
)
from omnicxr.models.generator.network import Generator, Latents
from omnicxr.models.given import check_counts, named_parts, number_of_studies, read_given
from omnicxr.models.image_autoencoder import ImageAutoencoder, uint8_from_pixels
from omnicxr.models.inputs import network_input
from omnicxr.models.noticing import Doorkeeper, as_understood, tell
from omnicxr.models.outputs import Steps, StudyOutput
from omnicxr.models.prompt_encoders import PromptEncoders
from omnicxr.models.refiner import Refiner
from omnicxr.models.report_autoencoder import ReportAutoencoder
from omnicxr.models.report_choice import candidate_generators, one_of_each
from omnicxr.models.report_mending import compared, further_reports, mended_reports
from omnicxr.models.tokenizer import ReportTokenizer, sentence_case

TURNS = (Modality.REPORT, Modality.FRONTAL, Modality.LATERAL)
"""In which order several parts are generated, each given to the next; docs/decisions.md, "One part at a time"."""
DESIGNS: dict[Design, type[Component]] = {"any-to-any": Generator, "published": PublishedGenerator}
"""`design` of a model folder => its generator."""
GPU_BATCH = 64
"""Studies that go through a network on a GPU together, unless told otherwise."""

ImageInput = Image.Image | np.ndarray | Tensor | str | Path
T = TypeVar("T")


def component_types(design: Design) -> dict[str, type[Component]]:
    """Name of a network => its class, in a model of that design."""
    return COMPONENT_TYPES | {"generator": DESIGNS[design]}


class AnyToAnyPipeline:
    """Encoders, generator and decoders of one model, on one device."""

    def __init__(
        self,
        *,
        image_autoencoder: ImageAutoencoder,
        refiner: Refiner,
        report_autoencoder: ReportAutoencoder,
        tokenizer: ReportTokenizer,
        prompt_encoders: PromptEncoders,
        generator: Generator | PublishedGenerator,
        guide: Generator | None = None,
        image_size: int,
        sampling: SamplingConfig | None = None,
        door: Door | None = None,
    ) -> None:
        """`guide`: a worse generator of the same latents, which sampling leads away from
        (`SamplingConfig.autoguidance_scale`).

        `sampling`: None for this version's defaults, which use the guide where there is one. `door`: what the model
        has seen; without it inputs are looked at for what is no film of that view alone.
        """
        self.image_autoencoder, self.refiner, self.report_autoencoder = image_autoencoder, refiner, report_autoencoder
        self.tokenizer, self.prompt_encoders = tokenizer, prompt_encoders
        self.generator, self.guide = generator, guide
        self.image_size, self.door = image_size, door
        if sampling is None and isinstance(generator, PublishedGenerator):
            sampling = published.SAMPLING
        self.sampling = sampling or SamplingConfig(autoguidance_scale=AUTOGUIDANCE if guide else 1.0)
        for component in self.components().values():
            component.eval().requires_grad_(False)

    def components(self) -> dict[str, Component]:
        """Name, as in COMPONENT_TYPES => network."""
        return {name: component for name in COMPONENT_TYPES if (component := getattr(self, name)) is not None}

    @property
    def in_turn(self) -> bool:
        """Whether several parts are generated one after the other, each given to the next, or side by side."""
        return not isinstance(self.generator, PublishedGenerator)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.generator.device

    def to(self, device: torch.device | str) -> AnyToAnyPipeline:
        """Move the networks. Raises UserError for a device that is not there."""
        device = usable_device(device)
        for component in self.components().values():
            component.to(device)
        return self

    @classmethod
    def from_pretrained(
        cls, folder: Path | str | None = None, *, device: torch.device | str = "cpu"
    ) -> AnyToAnyPipeline:
        """Load a model folder, or without an argument the model that comes with the package.

        Raises UserError naming the file that is missing, damaged or of another version.
        """
        root = Path(folder) if folder is not None else BUNDLED
        index = read_index(root)
        types = component_types(index.design)
        components = {name: types[name].load(component_folder(root, name)) for name in components_of(root)}
        tokenizer = load_tokenizer(root, max_tokens=components["report_autoencoder"].config.max_tokens)
        check_parts(root, components, image_size=index.image_size, tokenizer=tokenizer)
        sampling = SamplingConfig.read(index.sampling, root / INDEX)
        rest: dict[str, Any] = {"image_size": index.image_size, "sampling": sampling, "door": Door.load(root)}
        return cls(**components, tokenizer=tokenizer, **rest).to(device)  # type: ignore[arg-type]

    def save_pretrained(
        self, folder: Path | str, *, half: bool = True, provenance: dict[str, Any] | None = None
    ) -> None:
        """Write the model folder, which keeps no guide of another model; with `half`, weights are stored as float16
        (they are used as float32)."""
        root = Path(folder)
        for name in set(OPTIONAL) - set(self.components()):
            shutil.rmtree(root / name, ignore_errors=True)
        for name, component in self.components().items():
            component.save(component_folder(root, name), half=half)
        self.tokenizer.save(root / "tokenizer")
        if self.door is not None:
            self.door.save(root)
        self.save_index(root, provenance=provenance)

    def save_index(self, root: Path, *, provenance: dict[str, Any] | None = None) -> None:
        """Write `model_index.json`, which makes a folder that has the networks and the tokenizer a model folder."""
        design: Design = next(name for name, kind in DESIGNS.items() if isinstance(self.generator, kind))
        index = ModelIndex(
            image_size=self.image_size,
            design=design,
            tokenizer=self.tokenizer.fingerprint,
            sampling=asdict(self.sampling),
            provenance=provenance or {},
        )
        write_json(root / INDEX, asdict(index))

    @torch.no_grad()
    def __call__(
        self,
        *,
        frontal: ImageInput | Sequence[ImageInput] | None = None,
        lateral: ImageInput | Sequence[ImageInput] | None = None,
        report: str | Sequence[str] | None = None,
        generate: str | Iterable[str | Modality],
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        autoguidance_scale: float | None = None,
        seed: int | None = 0,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        num: int = 1,
        batch_size: int | None = None,
        strict: bool = False,
        raw: bool = False,
        confidence: bool = False,
        prepared: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> StudyOutput:
        """Generate the modalities named in `generate` from those given.

        frontal, lateral: a path, PIL image, array or tensor of any size and range, as `read_given` takes it; or one per
        study, as a list or [n, h, w]. report: text, or a list with one per study. generate: names, or a string of them
        with commas. num: outputs for each study given (outputs of a study follow each other). seed: study i of the
        output draws from its own generator, made from (seed, i), None for other ones at every call; `generator`
        replaces them (one, from which a seed is drawn for each study, or a list with one per study). batch_size:
        studies that go through the network at once; 1 on a CPU, so that bytes never depend on it.

        What is given is looked at first (docs/door.md): `notes` of the output say what was noticed, and an InputWarning
        says it where the model cannot be expected to make anything of it. strict: that is a UserError instead. raw:
        nothing is looked at, texts are taken as they stand. confidence: `SAMPLES` reports are drawn to say how sure
        the findings of each report are. prepared: pictures are uint8 [h, w] of prepared data, and nothing is warned of.
        Raises UserError for inputs that cannot be used, and for a modality that is both given and to be generated;
        TypeError for another type.
        """
        inputs = _drop_none({Modality.FRONTAL: frontal, Modality.LATERAL: lateral, Modality.REPORT: report})
        task = Task(tuple(inputs), named_parts(generate))
        check_counts(num=num, **_drop_none({"num_inference_steps": num_inference_steps, "batch_size": batch_size}))
        scales = {"guidance_scale": guidance_scale, "autoguidance_scale": autoguidance_scale}
        alone = 1 if confidence else None  # samples are compared as they are
        sampling = self.sampling.changed(num_inference_steps=num_inference_steps, report_candidates=alone, **scales)
        listed = {m: read_given(m, inputs[m], self.image_size, prepared=prepared) for m in task.given}
        notes = self._noticed(listed, strict=strict, raw=raw, quiet=prepared)
        rngs = random_generators(seed, generator, len(notes) * num)
        run = partial(self._generate, sampling=sampling, batch_size=batch_size or self._at_once)
        steps = Steps(run, rngs, num, confidence=confidence, progress=progress)
        return self._in_turns(task, steps, given=as_understood(listed, notes), notes=notes)

    def _noticed(self, given: dict[Modality, list[Any]], *, strict: bool, raw: bool, quiet: bool) -> list[Notes]:
        """The notes of every study, said or refused as `__call__` promises."""
        studies = number_of_studies(given)
        if strict and raw:
            raise UserError("Both strict and raw were asked for: choose one.")
        notes = self.doorkeeper.notice(given) if given and not raw else [Notes()] * studies
        tell(notes, strict=strict, quiet=quiet)
        return notes

    def _in_turns(
        self, task: Task, steps: Steps, *, given: dict[Modality, list[Any]], notes: list[Notes]
    ) -> StudyOutput:
        """What a task generates, turn after turn; given, notes: of each study."""
        count, num = len(steps.rngs), steps.num
        known = {m: [v[i // num] for i in range(count)] for m, v in given.items()}
        written = [Notes()] * count
        for n, turn in enumerate(turns := self.turns(task)):
            output = steps.run(turn, known, steps.rngs, progress=steps.tick(n * count, len(turns) * count))
            known |= {m: getattr(output, m) for m in turn}
            written = output.notes or written
        noticed = [replace(notes[i // num], report=n.report) for i, n in enumerate(written)]
        if steps.confidence and Modality.REPORT in task.generate:
            further = further_reports(steps.run, {m: known[m] for m in task.given}, rngs=steps.rngs, num=num)
            known[Modality.REPORT], noticed = compared(known[Modality.REPORT], further, noticed)
        return StudyOutput(**{str(m): known[m] for m in task.generate}, notes=noticed)

    @property
    def doorkeeper(self) -> Doorkeeper:
        """Looks at what is given."""
        return Doorkeeper(
            door=self.door,
            autoencoder=self.image_autoencoder,
            prompt_encoders=self.prompt_encoders,
            tokenizer=self.tokenizer,
        )

    def _generate(
        self,
        turn: tuple[Modality, ...],
        known: dict[Modality, list[Any]],
        rngs: list[torch.Generator],
        *,
        sampling: SamplingConfig,
        batch_size: int,
        progress: Callable[[int], None] | None = None,
    ) -> StudyOutput:
        """What is generated in one turn, an output for each random generator, from all that is known by now."""
        latents: list[Latents] = []
        embeds: list[Tensor | None] = []
        draws = sampling.report_candidates if self.in_turn and turn == (Modality.REPORT,) else 1
        for rows in _batches(len(rngs), batch_size):
            given, prompt_embeds = self.encode_given({m: [known[m][i] for i in rows] for m in Modality if m in known})
            chosen = [rng for i in rows for rng in candidate_generators(rngs[i], draws)]
            latents.append(self.sample(turn, given, prompt_embeds, sampling=sampling, rngs=chosen, draws=draws))
            embeds += [None] * len(rows) if prompt_embeds is None else list(prompt_embeds)
            if progress:
                progress(rows.stop)
        whole = {m: torch.cat([z[m] for z in latents]) for m in turn}
        if not all(z.isfinite().all() for z in whole.values()):
            raise UserError("The model gives no finite numbers: its weights are damaged, get or train it again.")
        return self.decode(whole, rngs, embeds, findings_weight=sampling.findings_weight)

    def turns(self, task: Task) -> list[tuple[Modality, ...]]:
        """What is generated in which order: one part at a time, or all of them side by side."""
        return [(m,) for m in TURNS if m in task.generate] if self.in_turn else [task.generate]

    @property
    def _at_once(self) -> int:
        """Studies that go through a network together: one on a CPU, so that bytes never depend on how many are asked
        for."""
        return 1 if self.device.type == "cpu" else GPU_BATCH

    def encode_given(self, given: dict[Modality, list[Any]]) -> tuple[Latents, Tensor | None]:
        """Squared uint8 pictures and report texts => clean latents, and their mean prompt embedding [b, d] (None if
        nothing)."""
        latents, embeds = {}, []
        for modality, values in given.items():
            x = self.network_input(modality, values)
            autoencoder = self.image_autoencoder if modality.is_image else self.report_autoencoder
            latents[modality] = autoencoder.encode(x)
            embeds.append(self.prompt_encoders.embed(modality, x))
        return latents, torch.stack(embeds).mean(0) if embeds else None

    def network_input(self, modality: Modality, values: Sequence[Any]) -> Tensor:
        """Pictures => [b, 1, s, s] in -1..1; texts => token ids [b, n]."""
        return network_input(modality, values, self.tokenizer).to(self.device)

    def noise(self, modality: Modality, rngs: Sequence[torch.Generator]) -> Tensor:
        """Standard normal latents [b, ...], each study's from its own random generator on the CPU."""
        shape = self.generator.config.latent_shape(modality)
        return torch.stack([torch.randn(shape, generator=rng) for rng in rngs]).to(self.device)

    def sample(
        self,
        turn: tuple[Modality, ...],
        given: Latents,
        prompt_embeds: Tensor | None,
        *,
        sampling: SamplingConfig,
        rngs: Sequence[torch.Generator],
        draws: int = 1,
    ) -> Latents:
        """Latents of what is generated in one turn, from the clean latents of what is given; of each study `draws`, one
        after the other, each from a random generator of its own."""
        if isinstance(self.generator, PublishedGenerator):
            return published.sample(
                self.generator, turn, prompt_embeds, config=sampling, noise=lambda m: self.noise(m, rngs)
            )
        guided = GuidedGenerator(
            generator=self.generator,
            guide=self.guide,
            given=given,
            prompt_embeds=prompt_embeds,
            batch=len(rngs) // draws,
            draws=draws,
        )
        return {m: sample(guided, m, sampling, noise=lambda m=m: self.noise(m, rngs)) for m in turn}

    def decode(
        self,
        latents: Latents,
        rngs: Sequence[torch.Generator],
        prompt_embeds: Sequence[Tensor | None] | None = None,
        *,
        findings_weight: float = 1.0,
    ) -> StudyOutput:
        """Latents => pictures, with detail from each study's generator, and texts, the best of those of a study, that
        say nothing twice and contradict nothing, with a note each; `prompt_embeds` [d] of what each was generated
        from."""
        out: dict[str, Any] = {str(m): self._pictures(z, rngs) for m, z in latents.items() if m.is_image}
        if Modality.REPORT in latents:
            texts = self.tokenizer.decode(self.report_autoencoder.decode(latents[Modality.REPORT]))
            texts = one_of_each(texts, studies=len(rngs), findings_weight=findings_weight)
            kept = mended_reports(texts, self.prompt_encoders, self.tokenizer, prompt_embeds=prompt_embeds)
            out["report"] = [sentence_case(text) for text, _ in kept]
            out["notes"] = [Notes(report=note) for _, note in kept]
        return StudyOutput(**out)

    def _pictures(self, z: Tensor, rngs: Sequence[torch.Generator]) -> list[Image.Image]:
        size = self._at_once
        rows = [slice(i, i + size) for i in range(0, len(z), size)]
        pictures = [
            uint8_from_pixels(refined(self.image_autoencoder, self.refiner, z[r], rngs=rngs[r])).cpu() for r in rows
        ]
        return [Image.fromarray(x) for x in torch.cat(pictures).numpy()]


def _batches(count: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def _drop_none(values: dict[Any, T | None]) -> dict[Any, T]:
    return {k: v for k, v in values.items() if v is not None}
