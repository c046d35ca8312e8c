import torch

from omnicxr.flow.guidance import away_from, away_from_nothing_given


def test_guidance_without_what_is_parallel_to_the_data() -> None:
    """x_0 = (1, 1) - 0.5 (2, 0) = (0, 1): of the difference (2, 2) the part along it is (0, 2). Each study by itself,
    and of any shape."""
    x, t = torch.ones(2, 2), 0.5
    c, u = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, -2.0], [3.0, 2.0]])
    flat = away_from_nothing_given(x, t, velocity=c, unguided=u, scale=3.0)
    shape = (2, 1, 2)
    shaped = away_from_nothing_given(x.view(shape), t, velocity=c.view(shape), unguided=u.view(shape), scale=3.0)
    assert torch.equal(flat, shaped.flatten(1))
    assert torch.allclose(flat[0], torch.tensor([4.0, 0.0]))
    assert torch.allclose(flat[1], torch.tensor([0.0, 0.0])), "x_0 is (1, 0), and so is what would be added"


def test_guidance() -> None:
    c, u = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    assert float(away_from(c, u, 1.0)) == 0
    assert float(away_from(c, u, 0.0)) == -2, "what was the other's"
    assert float(away_from(c, u, 2.5)) == 3
