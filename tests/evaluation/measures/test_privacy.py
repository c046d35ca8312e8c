import numpy as np

from omnicxr.evaluation.measures.privacy import copy_embedding, nearness


def pictures(seed: int, n: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (n, 8, 8))
    return np.kron(coarse, np.ones((1, 8, 8))).astype(np.uint8)


def test_embedding_sees_through_exposure() -> None:
    a = pictures(0, 3)
    assert np.allclose(copy_embedding(a), copy_embedding((a * 0.5 + 20).astype(np.uint8)), atol=0.02)
    assert np.isfinite(copy_embedding(np.zeros((2, 64, 64), np.uint8))).all()


def test_a_model_that_does_not_copy_is_at_one_half() -> None:
    training, unseen, generated = (copy_embedding(pictures(s, 300)) for s in (1, 2, 3))
    result = nearness(generated, unseen, training)
    assert 0.45 < result.nearer_share < 0.55
    assert result.near_copies == 0


def test_a_model_that_copies_is_caught() -> None:
    training, unseen = copy_embedding(pictures(1, 300)), copy_embedding(pictures(2, 300))
    noise = np.random.default_rng(0).integers(-3, 4, (300, 64, 64))
    copies = copy_embedding(np.clip(pictures(1, 300) + noise, 0, 255).astype(np.uint8))
    result = nearness(copies, unseen, training)
    assert result.nearer_share == 1
    assert result.near_copies == 300
    assert all(p.study == p.training_row for p in result.nearest)
    half = nearness(np.concatenate([copies[:150], copy_embedding(pictures(3, 150))]), unseen, training)
    assert 0.7 < half.nearer_share < 0.8
