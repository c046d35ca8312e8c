from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, Task, UserError
from omnicxr.training import batches
from omnicxr.training.batches import (
    EpochSampler,
    GroupSampler,
    Pictures,
    by_size,
    studies_by_parts,
    studies_by_task,
    task_weights,
)

SINGLE = [t for t in Task.all() if len(t.generate) == 1]


@given(n=st.integers(1, 40), batch=st.integers(1, 8), world=st.integers(1, 3), seed=st.integers(0, 5))
def test_every_study_once_in_every_epoch(n: int, batch: int, world: int, seed: int) -> None:
    sampler = EpochSampler(n, batch, seed=seed, world_size=world)
    steps = -(-3 * n // (batch * world))
    drawn = np.concatenate([sampler.batch(step, rank) for step in range(steps) for rank in range(world)])
    for epoch in range(3):
        assert sorted(drawn[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_tasks_are_the_same_on_every_process_and_all_come_up(prepared) -> None:
    data = PreparedDataset(prepared, "train")
    samplers = [GroupSampler(studies_by_task(data, Task.all()), 4, seed=3, world_size=2) for _ in range(2)]
    drawn = [[s.batch(step, rank) for step in range(150)] for rank, s in enumerate(samplers)]
    assert [t for t, _ in drawn[0]] == [t for t, _ in drawn[1]]
    assert {task for (task, _), _ in drawn[0]} == set(Task.all())
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(*drawn, strict=True))


def test_only_studies_that_have_what_the_task_needs(prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    data = PreparedDataset(prepared, "train")
    available = data.available.copy()
    available[::2, 1] = False  # every other study has no lateral view
    data.__dict__["available"] = available
    sampler = GroupSampler(studies_by_task(data, Task.all()), 4, seed=0)
    for step in range(60):
        (task, _), rows = sampler.batch(step)
        if "lateral" in task.given + task.generate:
            assert (rows % 2 == 1).all()
    data.__dict__["available"] = np.zeros_like(available)
    with pytest.raises(UserError, match="no studies with the parts"):
        GroupSampler(studies_by_task(data, Task.all()), 4, seed=0)


SHARES = {True: 0.1, False: 0.9}


def is_report(task: Task) -> bool:
    return task.generate == (Modality.REPORT,)


def test_kinds_of_tasks_come_up_in_their_share(prepared) -> None:
    data = PreparedDataset(prepared, "train")
    groups = studies_by_task(data, SINGLE)
    sampler = GroupSampler(groups, 4, seed=0, weights=task_weights(groups, SHARES, is_report))
    steps = 400
    counts = Counter(sampler.batch(step)[0][0] for step in range(steps))
    assert len(counts) == 9
    assert sum(n for t, n in counts.items() if is_report(t)) == pytest.approx(0.1 * steps, rel=0.3)
    views = [n for t, n in counts.items() if not is_report(t)]
    assert min(views) > 0.5 * max(views)


def test_studies_without_a_lateral_view_train_as_often_as_whole_ones(prepared) -> None:
    data = PreparedDataset(prepared, "train")
    available = np.ones_like(data.available)
    available[::2, 1] = False
    available[1, :2] = False  # a report alone, which allows no task
    data.__dict__["available"] = available
    groups = studies_by_task(data, SINGLE)
    weights = task_weights(groups, SHARES, is_report)
    pair = (Modality.FRONTAL, Modality.REPORT)
    assert {str(t): w for (t, parts), w in weights.items() if parts == pair} == {
        "frontal->report": pytest.approx(len(data.available[::2]) * 0.1),
        "report->frontal": pytest.approx(len(data.available[::2]) * 0.9),
    }
    assert len({t for t, parts in groups if parts == tuple(Modality)}) == 9
    sampler = GroupSampler(groups, 4, seed=0, weights=weights)
    drawn = np.concatenate([sampler.batch(step)[1] for step in range(400)])
    assert 1 not in drawn
    assert (drawn % 2 == 0).mean() == pytest.approx(len(available[::2]) / (len(available) - 1), rel=0.15)


def test_every_study_as_often_whatever_its_parts(prepared) -> None:
    """A few studies without a lateral view are not shown more often than the many that have all three."""
    data = PreparedDataset(prepared, "train")
    available = np.ones_like(data.available)
    available[:4, 1] = False
    available[4, :2] = False  # a report alone
    data.__dict__["available"] = available
    groups = studies_by_parts(data, at_least=2)
    assert {tuple(map(str, parts)): rows.tolist() for parts, rows in groups.items()} == {
        ("frontal", "report"): [0, 1, 2, 3],
        ("frontal", "lateral", "report"): list(range(5, len(data))),
    }
    sampler = GroupSampler(groups, 4, seed=0, weights=by_size(groups))
    steps = 400
    drawn = np.concatenate([sampler.batch(step)[1] for step in range(steps)])
    each = 4 * steps / (len(data) - 1)
    assert (drawn < 4).sum() == pytest.approx(4 * each, rel=0.35)


def test_pictures_kept_on_the_device_are_the_same(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this processor were a GPU with room for them."""
    data, chosen = PreparedDataset(prepared, "train"), np.array([3, 0, 5, 3])
    asked_for = Pictures(data, torch.device("cpu"))
    monkeypatch.setattr(batches, "has_room", lambda device, size: size == len(asked_for) * data.image_size**2)
    kept = Pictures(data, torch.device("cpu"))
    assert (
        asked_for.kept is None
        and kept.kept is not None
        and len(kept) == len(data.having(Modality.FRONTAL)) + len(data.having(Modality.LATERAL))
    )
    assert torch.equal(kept[chosen], asked_for[chosen]) and torch.equal(
        kept[np.arange(len(kept))], asked_for[np.arange(len(kept))]
    )
    assert torch.equal(kept[chosen][1], torch.tensor(data.image(*kept.items[0])))
