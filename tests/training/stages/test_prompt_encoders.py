from pathlib import Path

import numpy as np
import pytest
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.training.loop import LoopConfig
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun
from omnicxr.training.stages import prompt_encoders
from omnicxr.training.stages.context import StageContext
from omnicxr.training.stages.prompt_encoders import PromptEncodersStage, mirrored


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


def test_views_are_told_from_their_own_mirrored_reports(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PreparedDataset(prepared, "train")
    tokenizer = TrainingRun(preset=get_preset("nano"), loop=LoopConfig(), data=prepared, out=tmp_path)._tokenizer(data)
    context = StageContext(preset=get_preset("nano"), data=data, held_out=data)
    stage, plain = (PromptEncodersStage(context, tokenizer=tokenizer) for _ in range(2))
    plain.model.load_state_dict(stage.model.state_dict())
    with_negatives = stage.losses(stage.model, 0, 0)["loss"]
    monkeypatch.setattr(prompt_encoders, "mirrored", lambda report: report)
    assert with_negatives > plain.losses(plain.model, 0, 0)["loss"]
    monkeypatch.undo()
    rows = data.having(*Modality)
    changed = [data.reports[i] != mirrored(data.reports[i]) for i in rows]
    assert 0 < sum(changed) < len(rows)
    embeds, negatives = stage.embed(stage.model, stage.inputs, (tuple(Modality), rows))
    assert negatives[Modality.REPORT].there.bool().tolist() == changed
    encoded = stage.model.embed(Modality.REPORT, tokenizer.encode([mirrored(data.reports[i]) for i in rows]))
    torch.testing.assert_close(negatives[Modality.REPORT].embeds[changed], encoded[np.array(changed)])
    assert embeds.keys() == set(Modality) and all(len(e) == len(rows) for e in embeds.values())
    views = (Modality.FRONTAL, Modality.LATERAL)
    assert stage.embed(stage.model, stage.inputs, (views, rows))[1] == {}
