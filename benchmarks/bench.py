"""Speed as ratios measured in one run: `make bench`.

Given-token caching on / off, 20 steps against 50, training steps compiled or not, our generator against a
Stable-Diffusion-1.x-size U-Net per denoising step (with guidance, on the 4 x 32 x 32 latents of a 256 px view), and
simulated studies per second. Random weights where weights do not matter.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

import torch

from omnicxr.domain import IMAGE_MODALITIES, Modality, Task
from omnicxr.models.component import count_parameters
from omnicxr.models.generator.config import GeneratorConfig
from omnicxr.models.generator.network import Generator
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.render import render
from omnicxr.training.compiling import compile_blocks
from omnicxr.training.presets import PRESETS


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """Median time of a call, after one call to warm up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


@torch.no_grad()
def caching(model: Generator, task: Task, steps: int = 20) -> float:
    """Time without the cache over time with it, for one study."""
    config = model.config
    given = {m: torch.randn(1, *config.latent_shape(m)) for m in task.given}
    (modality,) = task.generate
    x, t = torch.randn(1, *config.latent_shape(modality)), torch.full((1,), 0.5)
    prompt = model.prompt_or_null(torch.randn(1, config.prompt_dim), 1)

    def with_cache() -> None:
        cache = model.given_cache(given, prompt)
        for _ in range(steps):
            model.velocity(modality, x, t, prompt=prompt, cache=cache)

    def without() -> None:
        for _ in range(steps):
            model.velocity(modality, x, t, prompt=prompt, cache=model.given_cache(given, prompt))

    return seconds(without) / seconds(with_cache)


def steps_ratio(pipe: AnyToAnyPipeline) -> float:
    """Time of 50 steps over time of 20, sentence to both views, decoding included."""
    runs = [
        lambda s=s: pipe(report="Large left pleural effusion.", generate=IMAGE_MODALITIES, num_inference_steps=s)
        for s in (50, 20)
    ]
    return seconds(runs[0]) / seconds(runs[1])


def compiled_ratio(config: GeneratorConfig, batch: int = 16) -> float:
    """Time of training steps (forward and backward) as they are over that of compiled ones, four tasks in turn."""
    tasks = [
        Task.parse(text)
        for text in ("report->frontal", "frontal->lateral", "frontal+report->lateral", "lateral->report")
    ]

    def steps(model: Generator) -> None:
        for task in tasks:
            given = {m: torch.randn(batch, *config.latent_shape(m)) for m in task.given}
            (modality,) = task.generate
            x, t, prompt = (
                torch.randn(batch, *config.latent_shape(modality)),
                torch.rand(batch),
                torch.randn(batch, config.prompt_dim),
            )
            model(modality, x, t, given=given, prompt_embeds=prompt).square().mean().backward()

    plain, compiled = Generator(config), Generator(config)
    compile_blocks(compiled)
    return seconds(partial(steps, plain)) / seconds(partial(steps, compiled))


@torch.no_grad()
def unet_ratio(preset: str) -> tuple[float, float, float]:
    """U-Net time for both views over ours for both views, per guided denoising step at 256 px; and both sizes in
    millions."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel  # pyright: ignore[reportMissingImports]

    unet = UNet2DConditionModel(sample_size=32, in_channels=4, out_channels=4, cross_attention_dim=768).eval()
    latent, text = torch.randn(2, 4, 32, 32), torch.randn(2, 77, 768)  # conditional and unconditional together
    model = Generator(PRESETS[preset].generator_config()).eval()
    config = model.config
    given = {Modality.REPORT: torch.randn(1, *config.latent_shape(Modality.REPORT))}
    x = {m: torch.randn(1, *config.latent_shape(m)) for m in IMAGE_MODALITIES}
    t = torch.full((1,), 0.5)
    prompt, null = model.prompt_or_null(torch.randn(1, config.prompt_dim), 1), model.prompt_or_null(None, 1)
    cache, nothing = model.given_cache(given, prompt), model.given_cache({}, null)

    def ours() -> None:
        for m, latents in x.items():
            model.velocity(m, latents, t, prompt=prompt, cache=cache)
            model.velocity(m, latents, t, prompt=null, cache=nothing)

    def theirs() -> None:
        for _ in IMAGE_MODALITIES:
            unet(latent, 500, encoder_hidden_states=text)

    return seconds(theirs, 2) / seconds(ours), count_parameters(unet) / 1e6, count_parameters(model) / 1e6


def main() -> None:
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads")
    pipe = AnyToAnyPipeline.from_pretrained()
    assert isinstance(pipe.generator, Generator)
    for text in ("report->frontal", "frontal+lateral->report", "frontal+report->lateral"):
        print(f"given-token caching, {text}: {caching(pipe.generator, Task.parse(text)):.2f}x faster than without")
    print(f"20 steps against 50, sentence to both views: {steps_ratio(pipe):.2f}x faster")
    print(
        f"training steps of the generator, preset tiny, compiled: {compiled_ratio(pipe.generator.config):.2f}x faster"
    )
    for preset in ("small", "base"):
        ratio, unet_size, size = unet_ratio(preset)
        names = f"preset {preset} ({size:.0f} M) against SD-1.x U-Net ({unet_size:.0f} M)"
        print(f"guided denoising step of both views at 256 px, {names}: {ratio:.1f}x faster")
    for size in (128, 256):
        rate = 4 / seconds(partial(render, [sample_truth(0, i) for i in range(4)], size), 1)
        print(f"simulator at {size} px: {rate:.2f} studies per second in one process")


if __name__ == "__main__":
    main()
