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
    by_what_is_generated,
    studies_by_parts,
    studies_by_task,
)


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


def test_tasks_of_several_parts_come_up_in_their_share(prepared) -> None:
    data = PreparedDataset(prepared, "train")
    groups = studies_by_task(data, (*Task.all(), Task.from_nothing()))
    steps = 400

    def drawn(together_share: float, report_share: float = 1 / 3) -> Counter[Task]:
        sampler = GroupSampler(groups, 4, seed=0, weights=by_what_is_generated(groups, together_share, report_share))
        return Counter(sampler.batch(step)[0][0] for step in range(steps))

    counts = drawn(0.25)
    together = {t: n for t, n in counts.items() if len(t.generate) > 1}
    assert len(together) == 4
    assert sum(together.values()) == pytest.approx(steps / 4, rel=0.2)
    alone = [n for t, n in counts.items() if t not in together]
    assert len(alone) == 9
    assert min(alone) > 0.5 * max(alone)
    assert {len(t.generate) for t in drawn(0)} == {1}
    reports = sum(n for t, n in drawn(0.25, report_share=0.1).items() if t.generate == (Modality.REPORT,))
    assert reports == pytest.approx(0.075 * steps, rel=0.3)
    assert {t.generate for t in drawn(0, report_share=1)} == {(Modality.REPORT,)}


def test_studies_without_a_lateral_view_train_as_often_as_whole_ones(prepared) -> None:
    data = PreparedDataset(prepared, "train")
    available = np.ones_like(data.available)
    available[::2, 1] = False
    available[1, :2] = False  # a report alone, which allows no task
    data.__dict__["available"] = available
    groups = studies_by_task(data, (*Task.all(), Task.from_nothing()))
    weights = by_what_is_generated(groups, 0.25, 0.5)
    pair = (Modality.FRONTAL, Modality.REPORT)
    assert {str(t): w for (t, parts), w in weights.items() if parts == pair} == {
        "frontal->report": len(data.available[::2]) / 2,
        "report->frontal": len(data.available[::2]) / 2,
    }
    assert len({t for t, parts in groups if parts == tuple(Modality)}) == 13
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
