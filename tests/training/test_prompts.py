from pathlib import Path

import numpy as np
import pytest
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.training.config import get_preset
from omnicxr.training.loop import LoopConfig
from omnicxr.training.run import TrainingRun
from omnicxr.training.stages.prompt_encoders import PromptsStage, mirrored


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("Small left pleural effusion.", "small right pleural effusion."),
        (
            "RIGHT apical pneumothorax. Left-sided pacemaker, left lung clear.",
            "left apical pneumothorax. right-sided pacemaker, right lung clear.",
        ),
        ("Leftward shift. Bilateral opacities.", "Leftward shift. Bilateral opacities."),
        ("Left and right effusions.", "Left and right effusions."),
        ("", ""),
    ],
)
def test_mirrored_reports(report: str, expected: str) -> None:
    assert mirrored(report) == expected


def test_views_are_told_from_their_own_mirrored_reports(prepared: Path, tmp_path: Path) -> None:
    data = PreparedDataset(prepared, "train")
    tokenizer = TrainingRun(get_preset("nano"), LoopConfig(), prepared, tmp_path)._tokenizer(data)
    stage, plain = (
        PromptsStage(
            get_preset("nano").with_values({"mirrored_negatives": on}), data, data, tokenizer, seed=0, world_size=1
        )
        for on in ("true", "false")
    )
    plain.model.load_state_dict(stage.model.state_dict())
    assert stage.losses(stage.model, 0, 0)["loss"] > plain.losses(plain.model, 0, 0)["loss"]
    rows = data.having(*Modality)
    changed = [data.reports[i] != mirrored(data.reports[i]) for i in rows]
    assert 0 < sum(changed) < len(rows)
    embeds, negatives = stage.embed(stage.model, data, tuple(Modality), rows)
    assert negatives[Modality.REPORT].there.bool().tolist() == changed
    encoded = stage.model.embed(Modality.REPORT, tokenizer.encode([mirrored(data.reports[i]) for i in rows]))
    torch.testing.assert_close(negatives[Modality.REPORT].embeds[changed], encoded[np.array(changed)])
    assert embeds.keys() == set(Modality) and all(len(e) == len(rows) for e in embeds.values())
    assert plain.embed(plain.model, data, tuple(Modality), rows)[1] == {}
