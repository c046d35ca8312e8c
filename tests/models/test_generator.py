from dataclasses import replace
from typing import Any

import pytest
import torch

from omnicxr.domain import Modality, Task, UserError
from omnicxr.models.generator.network import Generator, GeneratorConfig, Streams
from omnicxr.models.generator.stream import COUPLINGS, positions

F, L, R = Modality
BATCH = 3


def make(coupling: str = "joint", **settings: Any) -> Generator:
    torch.manual_seed(0)
    model = Generator(
        GeneratorConfig(
            image_channels=4,
            latent_size=8,
            report_tokens=3,
            report_channels=5,
            prompt_dim=12,
            width=32,
            depth=3,
            heads=4,
            coupling=coupling,
            **settings,
        )
    )
    with torch.no_grad():
        for p in model.parameters():  # no zero gates or heads, so that every path shows
            p.add_(0.05 * torch.randn(p.shape))
    return model.eval()


def latents(model: Generator, seed: int) -> Streams:
    g = torch.Generator().manual_seed(seed)
    return {m: torch.randn(BATCH, *model.config.latent_shape(m), generator=g) for m in Modality}


@torch.no_grad()
def run(model: Generator, task: Task, given: Streams, x: Streams, t: float = 0.4) -> Streams:
    prompt = torch.nn.functional.normalize(torch.ones(BATCH, 12), dim=-1) if task.given else None
    times = {m: torch.full((BATCH,), t) for m in task.generate}
    return model({m: given[m] for m in task.given}, {m: x[m] for m in task.generate}, times, prompt).velocity


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("task", [*Task.all(), Task.from_nothing()], ids=str)
def test_velocity_has_the_shape_of_the_latents(coupling: str, task: Task) -> None:
    model = make(coupling)
    x = latents(model, 1)
    velocity = run(model, task, latents(model, 2), x)
    assert {m: v.shape for m, v in velocity.items()} == {m: x[m].shape for m in task.generate}


def test_tokens_and_latents_are_inverse() -> None:
    model = make()
    for m, x in latents(model, 1).items():
        stream = model.stream(m)
        assert torch.equal(stream.to_latents(stream.to_tokens(x)), x)
        assert stream.to_tokens(x).shape == (BATCH, model.config.tokens(m), model.config.token_channels(m))


@pytest.mark.parametrize(
    ("coupling", "sees_other", "sees_given"), [("joint", True, True), ("pooled", True, True), ("none", False, False)]
)
def test_what_a_stream_sees(coupling: str, sees_other: bool, sees_given: bool) -> None:
    model = make(coupling)
    task = Task.parse("report->frontal+lateral")
    given, x = latents(model, 1), latents(model, 2)
    base = run(model, task, given, x)[F]
    other = run(model, task, given, x | {L: -x[L]})[F]
    fresh = run(model, task, given | {R: -given[R]}, x)[F]
    assert (not torch.allclose(base, other, atol=1e-5)) == sees_other
    assert (not torch.allclose(base, fresh, atol=1e-5)) == sees_given


@torch.no_grad()
@pytest.mark.parametrize(
    "settings", [{}, {"given_sees_generated": True}, {"coupling": "pooled"}, {"coupling": "none"}], ids=str
)
def test_draws_are_as_if_the_study_were_given_again_for_each(settings: dict[str, Any]) -> None:
    model, draws = make(**settings), 2
    given, prompt = latents(model, 1), torch.randn(BATCH, 12, generator=torch.Generator().manual_seed(4))
    x, t = torch.cat([latents(model, 2)[R], latents(model, 3)[R]]), torch.linspace(0.1, 0.9, draws * BATCH)
    once = model({m: given[m] for m in (F, L)}, {R: x}, {R: t}, prompt, draws)
    again = model(
        {m: given[m].repeat_interleave(draws, 0) for m in (F, L)}, {R: x}, {R: t}, prompt.repeat_interleave(draws, 0)
    )
    torch.testing.assert_close(once.velocity[R], again.velocity[R])
    assert once.features.keys() == again.features.keys()
    for m, feature in once.features.items():
        torch.testing.assert_close(feature, again.features[m])


@torch.no_grad()
def test_draws_of_one_study_share_what_is_given_and_no_other_study_sees_it() -> None:
    model = make()
    given, x = (
        latents(model, 1)[F],
        torch.randn(2 * BATCH, *model.config.latent_shape(R), generator=torch.Generator().manual_seed(2)),
    )
    changed = torch.cat([-given[:1], given[1:]])
    t, prompt = torch.full((2 * BATCH,), 0.5), torch.ones(BATCH, 12)
    before, after = (model({F: g}, {R: x}, {R: t}, prompt, 2).velocity[R] for g in (given, changed))
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(before, after, strict=True)]
    assert same == [False, False, *[True] * (2 * BATCH - 2)]


def test_given_tokens_do_not_depend_on_what_is_generated_or_on_time() -> None:
    """The cache is exact: keys and values of the given tokens, worked out once, serve every step."""
    model = make()
    given, prompt = latents(model, 1), model.prompts_or_null(torch.ones(BATCH, 12), BATCH)
    with torch.no_grad():
        cache = model.given_cache({R: given[R]}, prompt)
        for t in (0.9, 0.2):
            x = {m: v for m, v in latents(model, 3).items() if m is not R}
            times = {m: torch.full((BATCH,), t) for m in x}
            cached = model.velocity(cache, x, times, prompt).velocity
            fresh = model.velocity(model.given_cache({R: given[R]}, prompt), x, times, prompt).velocity
            assert all(torch.equal(cached[m], fresh[m]) for m in x)


@torch.no_grad()
@pytest.mark.parametrize("prompted", [True, False])
def test_prompt_counts_unless_it_is_off(prompted: bool) -> None:
    model = make(prompted=prompted)
    given, x = latents(model, 1), latents(model, 2)
    t = {F: torch.full((BATCH,), 0.4)}
    with_prompt, without = (model({R: given[R]}, {F: x[F]}, t, p).velocity[F] for p in (torch.ones(BATCH, 12), None))
    assert torch.equal(with_prompt, without) != prompted
    other = model({R: -given[R]}, {F: x[F]}, t, None).velocity[F]
    assert not torch.allclose(without, other, atol=1e-5), "tokens that are given count all the same"


def test_given_tokens_that_see_what_is_generated() -> None:
    """One attention over all tokens without a mask: the given stream runs beside the others, and what it says depends
    on them."""
    model = make(given_sees_generated=True)
    given, x, prompt = latents(model, 1), latents(model, 2), model.prompts_or_null(torch.ones(BATCH, 12), BATCH)
    t = {F: torch.full((BATCH,), 0.4)}
    with torch.no_grad():
        cache = model.given_cache({R: given[R]}, prompt)
        out = model.velocity(cache, {F: x[F]}, t, prompt)
        other = model.velocity(cache, {F: -x[F]}, t, prompt)
        clean = model.velocity(
            model.given_cache({}, prompt), {F: x[F], R: given[R]}, t | {R: torch.zeros(BATCH)}, prompt
        )
    assert cache.layers is None and set(out.velocity) == {F}
    assert torch.allclose(out.velocity[F], clean.velocity[F], atol=1e-5)  # the same as a generated stream at time 0
    assert not torch.allclose(out.features[R], other.features[R], atol=1e-4)
    assert not torch.allclose(out.velocity[F], run(make(), Task.parse("report->frontal"), given, x)[F], atol=1e-4)


def test_predicted_noise_becomes_a_velocity() -> None:
    """The same weights, read as noise: v = (eps - x_t) / (1 - t)."""
    task, flow, diffusion = Task.parse("report->frontal"), make(), make(prediction="noise")
    given, x = latents(flow, 1), latents(flow, 2)
    assert torch.allclose(run(diffusion, task, given, x)[F], (run(flow, task, given, x)[F] - x[F]) / 0.6, atol=1e-5)
    with pytest.raises(UserError, match="'image'"):
        GeneratorConfig(prediction="image")
    with pytest.raises(UserError, match="preconditioned=false"):
        GeneratorConfig(prediction="noise", preconditioned=True)


def test_what_is_given_is_summed_up_for_the_conditioning() -> None:
    """Without a prompt and without attention to given tokens, the summary alone still tells one given report from
    another."""
    model = make()
    given, x = latents(model, 1), latents(model, 2)[F]
    null, t = model.prompts_or_null(None, BATCH), torch.full((BATCH,), 0.5)
    with torch.no_grad():
        caches = [model.given_cache({R: r}, null) for r in (given[R], -given[R])]
        alone = [model.velocity(replace(c, layers=None), {F: x}, {F: t}, null).velocity[F] for c in caches]
    assert not torch.allclose(alone[0], alone[1], atol=1e-4)
    assert model.given_cache({}, null).summary == 0.0


def test_rows_of_both_views_begin_alike() -> None:
    """Positions start as sinusoids: two tokens in the same row are more alike than two in different rows and
    columns."""
    grid = positions(16, 32).unflatten(0, (4, 4))
    alike = (grid[1, 0] * grid[1, 3]).sum(), (grid[0, 0] * grid[2, 3]).sum()
    assert grid.shape == (4, 4, 32) and alike[0] > alike[1]
    assert grid.flatten(0, 1).mean(0).abs().max() < 1e-6


def test_joint_attention_equals_one_masked_attention_over_all_tokens() -> None:
    """Independent form of one layer: all tokens in one matrix, with the mask "given sees only given"."""
    torch.manual_seed(1)
    q, k, v = torch.randn(3, 2, 4, 9, 8)  # 5 given tokens, then 4 generated
    mask = torch.ones(9, 9, dtype=torch.bool)
    mask[:5, 5:] = False
    whole = torch.softmax((q @ k.transpose(-1, -2) / 8**0.5).masked_fill(~mask, -torch.inf), -1) @ v
    whole = whole.transpose(1, 2).flatten(2)
    model = make()
    generated = model._attend_generated(
        {F: q[:, :, 5:]}, {F: k[:, :, 5:]}, {F: v[:, :, 5:]}, (k[:, :, :5], v[:, :, :5])
    )
    assert torch.allclose(generated, whole[:, 5:], atol=1e-5)


def test_studies_of_a_batch_do_not_mix() -> None:
    model = make()
    task = Task.parse("lateral->frontal+report")
    given, x = latents(model, 1), latents(model, 2)
    whole = run(model, task, given, x)
    changed = run(model, task, {m: torch.cat([v[:1], -v[1:]]) for m, v in given.items()}, x)
    assert all(torch.allclose(whole[m][0], changed[m][0], atol=1e-6) for m in task.generate)


def test_each_stream_has_its_own_time() -> None:
    model = make("none")
    x = latents(model, 1)
    times = {F: torch.full((BATCH,), 0.5), L: torch.full((BATCH,), 0.5)}
    with torch.no_grad():
        a = model({}, {F: x[F], L: x[L]}, times, None).velocity
        b = model({}, {F: x[F], L: x[L]}, times | {L: torch.full((BATCH,), 0.1)}, None).velocity
    assert torch.equal(a[F], b[F])
    assert not torch.allclose(a[L], b[L])


def test_unknown_coupling() -> None:
    with pytest.raises(UserError, match="'tight'"):
        GeneratorConfig(coupling="tight")
    with pytest.raises(UserError, match="leave prompted=true"):
        GeneratorConfig(coupling="none", prompted=False)
    with pytest.raises(UserError, match="principal_axes belong to the preconditioner"):
        GeneratorConfig(principal_axes=4)
