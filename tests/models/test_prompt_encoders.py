import pytest
import torch

from omnicxr.domain import Modality
from omnicxr.models.prompt_encoders import HardNegatives, info_nce, symmetric_contrastive_loss


def test_info_nce_closed_form() -> None:
    """For n orthonormal pairs the loss is log(1 + (n - 1) exp(-scale))."""
    e, scale = torch.eye(5), torch.tensor(1.2)
    expected = torch.log(1 + 4 * torch.exp(-scale.exp()))
    assert float(info_nce(e, e, scale)) == pytest.approx(float(expected), abs=1e-6)
    embeds = {Modality.FRONTAL: e, Modality.LATERAL: e, Modality.REPORT: e.flip(0)}
    swapped = dict(reversed(embeds.items()))
    assert float(symmetric_contrastive_loss(embeds, scale)) == pytest.approx(
        float(symmetric_contrastive_loss(swapped, scale))
    )
    clamped = info_nce(e, e, torch.tensor(50.0))
    assert torch.isfinite(clamped)


def test_hard_negatives_are_one_more_wrong_partner_of_their_row() -> None:
    """As wrong as can be: equal to the right partner of rows 0 and 3; the other rows have none."""
    e, scale = torch.eye(5), torch.tensor(1.2, requires_grad=True)
    negatives = HardNegatives(e.clone().requires_grad_(True), torch.tensor([1.0, 0, 0, 1, 0]))
    loss = info_nce(e, e, scale, negatives=negatives)
    others = 4 * torch.exp(-scale.detach().exp())
    expected = (2 * torch.log(2 + others) + 3 * torch.log(1 + others)) / 5
    assert float(loss.detach()) == pytest.approx(float(expected), abs=1e-6)
    loss.backward()
    assert scale.grad is not None and negatives.embeds.grad is not None and torch.isfinite(scale.grad)
    assert negatives.embeds.grad.abs().sum(1).bool().tolist() == [True, False, False, True, False]


def test_hard_negatives_are_of_one_modality() -> None:
    """Frontal and lateral views are told from the wrong reports; reports, and one view from the other, are not."""
    e, scale = torch.eye(5), torch.tensor(1.2)
    embeds = {m: e for m in Modality}
    plain, hard = (
        symmetric_contrastive_loss(embeds, scale, n) for n in (None, {Modality.REPORT: HardNegatives(e, torch.ones(5))})
    )
    others = 4 * torch.exp(-scale.exp())
    assert float(hard - plain) == pytest.approx(
        float(2 * (torch.log(2 + others) - torch.log(1 + others)) / 6), abs=1e-6
    )
