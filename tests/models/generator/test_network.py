from dataclasses import asdict, replace

import pytest
import torch

from omnicxr.domain import Modality, Task, UserError
from omnicxr.models.generator.config import GeneratorConfig, GeneratorSizes
from omnicxr.models.generator.network import Generator, Latents
from omnicxr.models.generator.stream import positions
from omnicxr.models.layers import attend

F, L, R = Modality
BATCH, PROMPT = 3, 12
CONFIG = GeneratorConfig(
    image_channels=4,
    latent_size=8,
    report_tokens=3,
    report_channels=5,
    prompt_dim=PROMPT,
    width=32,
    depth=3,
    heads=4,
    local_channels=8,
    principal_axes=6,
)
SINGLE = [t for t in Task.all() if len(t.generate) == 1] + [Task((), (m,)) for m in Modality]


def make(config: GeneratorConfig = CONFIG) -> Generator:
    torch.manual_seed(0)
    model = Generator(config)
    with torch.no_grad():
        for p in model.parameters():  # no zero gates or heads, so that every path shows
            p.add_(0.05 * torch.randn(p.shape))
    return model.eval()


def latents(model: Generator, seed: int) -> Latents:
    g = torch.Generator().manual_seed(seed)
    return {m: torch.randn(BATCH, *model.config.latent_shape(m), generator=g) for m in Modality}


@torch.no_grad()
def run(model: Generator, task: Task, given: Latents, x: Latents, *, t: float = 0.4) -> torch.Tensor:
    (modality,) = task.generate
    prompt = torch.nn.functional.normalize(torch.ones(BATCH, PROMPT), dim=-1) if task.given else None
    times = torch.full((BATCH,), t)
    return model(modality, x[modality], times, given={m: given[m] for m in task.given}, prompt_embeds=prompt)


@pytest.mark.parametrize("axes", [0, 6])
@pytest.mark.parametrize("task", SINGLE, ids=str)
def test_velocity_has_the_shape_of_the_latents(task: Task, axes: int) -> None:
    model = make(replace(CONFIG, principal_axes=axes))
    x = latents(model, 1)
    assert run(model, task, latents(model, 2), x).shape == x[task.generate[0]].shape


def test_tokens_and_features_are_inverse() -> None:
    model = make()
    for m, x in latents(model, 1).items():
        stream = model.stream(m)
        features = stream.features(x)
        assert torch.equal(stream.to_features(stream.to_tokens(features)), features)
        assert stream.tokens(features).shape == (BATCH, CONFIG.tokens(m), CONFIG.width)


def test_what_is_given_is_seen() -> None:
    """Every part of it, token by token: not by its prompt embedding alone, which stays the same here."""
    model, task = make(), Task.parse("lateral+report->frontal")
    given, x = latents(model, 1), latents(model, 2)
    base = run(model, task, given, x)
    for m in task.given:
        assert not torch.allclose(base, run(model, task, given | {m: -given[m]}, x), atol=1e-5)


@torch.no_grad()
def test_draws_are_as_if_the_study_were_given_again_for_each() -> None:
    model, draws = make(), 2
    given, prompt = latents(model, 1), torch.randn(BATCH, PROMPT, generator=torch.Generator().manual_seed(4))
    x, t = torch.cat([latents(model, 2)[R], latents(model, 3)[R]]), torch.linspace(0.1, 0.9, draws * BATCH)
    once = model(R, x, t, given={m: given[m] for m in (F, L)}, prompt_embeds=prompt, draws=draws)
    many = {m: given[m].repeat_interleave(draws, 0) for m in (F, L)}
    again = model(R, x, t, given=many, prompt_embeds=prompt.repeat_interleave(draws, 0))
    torch.testing.assert_close(once, again)


@torch.no_grad()
def test_draws_of_one_study_share_what_is_given_and_no_other_study_sees_it() -> None:
    model = make()
    given, x = latents(model, 1)[F], torch.randn(2 * BATCH, *CONFIG.latent_shape(R))
    changed = torch.cat([-given[:1], given[1:]])
    t, prompt = torch.full((2 * BATCH,), 0.5), torch.ones(BATCH, PROMPT)
    before, after = (model(R, x, t, given={F: g}, prompt_embeds=prompt, draws=2) for g in (given, changed))
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(before, after, strict=True)]
    assert same == [False, False, *[True] * (2 * BATCH - 2)]


@torch.no_grad()
def test_given_tokens_do_not_depend_on_what_is_generated_or_on_time() -> None:
    """The cache is exact: keys and values of the given tokens, worked out once, serve every step."""
    model = make()
    given, prompt = latents(model, 1), model.prompt_or_null(torch.ones(BATCH, PROMPT), BATCH)
    cache = model.given_cache({R: given[R]}, prompt)
    for t in (0.9, 0.2):
        x, times = latents(model, 3)[F], torch.full((BATCH,), t)
        cached = model.velocity(F, x, times, prompt=prompt, cache=cache)
        whole = model(F, x, times, given={R: given[R]}, prompt_embeds=torch.ones(BATCH, PROMPT))
        assert torch.equal(cached, whole)


@torch.no_grad()
def test_prompt_counts_and_so_do_tokens_without_it() -> None:
    model = make()
    given, x, t = latents(model, 1), latents(model, 2), torch.full((BATCH,), 0.4)
    with_prompt, without = (
        model(F, x[F], t, given={R: given[R]}, prompt_embeds=p) for p in (torch.ones(BATCH, PROMPT), None)
    )
    assert not torch.allclose(with_prompt, without, atol=1e-5)
    other = model(F, x[F], t, given={R: -given[R]}, prompt_embeds=None)
    assert not torch.allclose(without, other, atol=1e-5)


@torch.no_grad()
def test_what_is_given_is_summed_up_for_the_conditioning() -> None:
    """Without a prompt and without attention to given tokens, the summary alone still tells one given report from
    another."""
    model = make()
    given, x = latents(model, 1), latents(model, 2)[F]
    null, t = model.prompt_or_null(None, BATCH), torch.full((BATCH,), 0.5)
    caches = [model.given_cache({R: r}, null) for r in (given[R], -given[R])]
    alone = [model.velocity(F, x, t, prompt=null, cache=replace(c, layers=None)) for c in caches]
    assert not torch.allclose(alone[0], alone[1], atol=1e-4)
    assert model.given_cache({}, null).summary == 0.0


@torch.no_grad()
def test_one_layer_equals_one_masked_attention_over_all_tokens() -> None:
    """Independent form: given and generated tokens in one matrix, with the mask "given sees only given"."""
    model = make(replace(CONFIG, depth=1))
    x, t = latents(model, 1), torch.full((BATCH,), 0.4)
    prompt = model.prompt_or_null(torch.ones(BATCH, PROMPT), BATCH)
    cache = model.given_cache({L: x[L], R: x[R]}, prompt)
    zero = torch.zeros(BATCH)
    states = {
        m: model.stream(m).enter(
            x[m], t if m is F else zero, prompt=prompt, null=model.null_embeds, summary=cache.summary if m is F else 0.0
        )
        for m in (L, R, F)
    }
    projected = [model.layer(m, 0).project(s.tokens, s.modulation) for m, s in states.items()]
    q, k, v = (torch.cat(parts, 2) for parts in zip(*projected, strict=True))
    count = CONFIG.tokens(F)
    mask = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool)
    mask[:-count, -count:] = False
    whole = torch.softmax((q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf), -1) @ v
    attended = whole.transpose(1, 2).flatten(2)[:, -count:]
    expected = model.stream(F).leave(
        model.layer(F, 0).update(states[F].tokens, attended, states[F].modulation), states[F]
    )
    torch.testing.assert_close(model.velocity(F, x[F], t, prompt=prompt, cache=cache), expected, atol=1e-5, rtol=1e-4)
    assert torch.allclose(attend(q, k, v, mask=mask)[:, -count:], attended, atol=1e-6)


def test_studies_of_a_batch_do_not_mix() -> None:
    model, task = make(), Task.parse("lateral->frontal")
    given, x = latents(model, 1), latents(model, 2)
    whole = run(model, task, given, x)
    changed = run(model, task, {m: torch.cat([v[:1], -v[1:]]) for m, v in given.items()}, x)
    assert torch.allclose(whole[0], changed[0], atol=1e-6)
    assert not torch.allclose(whole[1], changed[1], atol=1e-6)


def test_rows_of_both_views_begin_alike() -> None:
    """Positions start as sinusoids: tokens in one row are more alike than those in different rows and columns."""
    grid = positions(16, 32).unflatten(0, (4, 4))
    alike = (grid[1, 0] * grid[1, 3]).sum(), (grid[0, 0] * grid[2, 3]).sum()
    assert grid.shape == (4, 4, 32) and alike[0] > alike[1]
    assert grid.flatten(0, 1).mean(0).abs().max() < 1e-6


def test_before_training_it_gives_the_linear_estimate() -> None:
    """Nothing is said by layers that begin at zero."""
    torch.manual_seed(0)
    model = Generator(CONFIG)
    x, t = latents(model, 1), torch.full((BATCH,), 0.4)
    for m in Modality:
        known = model.stream(m).preconditioner
        found = model(m, x[m], t, given={}, prompt_embeds=None)
        torch.testing.assert_close(found, known.linear(x[m], t), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [({"heads": 5}, "width 192 cannot be split into 5 heads"), ({"local_channels": 12}, "give a multiple of 8")],
)
def test_sizes_that_do_not_fit(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        GeneratorSizes(**sizes)
    with pytest.raises(UserError, match="latent_size is 9: give a multiple of 2"):
        GeneratorConfig(latent_size=9)


def test_guides_are_smaller() -> None:
    guide = GeneratorSizes(width=192, depth=8, heads=6).for_guide()
    assert asdict(guide) == {"width": 96, "depth": 6, "heads": 3, "local_channels": 32, "principal_axes": 256}
