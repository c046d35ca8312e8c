"""Sentences that say labels."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.description import describe
from omnicxr.data.labeler import label_report
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.selection import Selection
from omnicxr.domain import Finding, ImageRef, LabelState, Study, View
from omnicxr.models.judge import Judge
from omnicxr.training.loop import LoopConfig
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun

IMPLIED = {Finding.LUNG_OPACITY: (Finding.CONSOLIDATION, Finding.PNEUMONIA)}
"""What the labeler takes to be stated by other findings."""


def study(labels: dict[Finding, LabelState | None], *views: View) -> Study:
    return Study(
        subject_id="p", study_id="s", source="nih", labels=labels, images=tuple(ImageRef(Path("x"), v) for v in views)
    )


def test_what_is_said() -> None:
    states = {
        Finding.CARDIOMEGALY: LabelState.POSITIVE,
        Finding.PNEUMONIA: LabelState.UNCERTAIN,
        Finding.EDEMA: LabelState.NEGATIVE,
    }
    assert describe(study(states, View.PA)) == "nih radiograph, PA view. Cardiomegaly. Possible pneumonia."
    assert describe(study(states, View.AP, View.LL)).startswith("nih radiograph, AP and lateral views.")
    assert describe(study({Finding.EDEMA: None}, View.PA)) == ""


@given(
    st.dictionaries(
        st.sampled_from([f for f in Finding if f is not Finding.NO_FINDING]),
        st.sampled_from([LabelState.POSITIVE, LabelState.UNCERTAIN]),
        min_size=1,
    )
)
def test_the_labeler_reads_the_labels_back(labels: dict[Finding, LabelState | None]) -> None:
    read = label_report(describe(study(labels)))
    for finding in Finding:
        if finding is not Finding.NO_FINDING and not any(f in labels for f in IMPLIED.get(finding, ())):
            assert read[finding] == labels.get(finding), describe(study(labels))


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """60 pictures of 60 patients in the short form of ChestX-ray14."""
    folder = tmp_path / "nih"
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "patient_id", "follow_up", "age", "sex", "view", "finding_labels"))
        for i in range(60):
            Image.fromarray(np.random.default_rng(i).integers(0, 255, (64, 64), np.uint8)).save(folder / f"{i}.png")
            writer.writerow((f"{i}.png", i, 0, 50, "F", "PA", "Effusion|Mass" if i % 2 else "No Finding"))
    return folder


def test_beside_studies_that_have_reports(nih: Path, simulated: Path, tmp_path: Path) -> None:
    """Mixed with simulated studies: those keep their reports and truth, the pictures with labels get sentences, and
    what has no truth says so."""
    config = PrepareConfig(kind="mix", image_size=64, selection=Selection(describe=True))
    manifest = prepare(config, f"mimic-cxr-jpg={simulated},nih={nih}", tmp_path / "out")
    assert manifest.modalities == {"frontal+lateral+report": 80, "frontal+report": 60}
    data = PreparedDataset(tmp_path / "out", "train")
    rows = data.table.to_pylist()
    of_nih = np.array([row["source"] == "nih" for row in rows])
    texts = {row["report"] for row in rows if row["source"] == "nih"}
    assert texts == {
        "nih radiograph, PA view. Lung nodule. Pleural effusion.",
        "nih radiograph, PA view. No acute cardiopulmonary abnormality.",
    }
    assert data.measures is not None
    assert np.isnan(data.measures[of_nih]).all() and np.isfinite(data.measures[~of_nih]).all()
    assert json.loads((tmp_path / "out" / "options.json").read_text())["selection"]["describe"] is True
    TrainingRun(
        preset=get_preset("nano").with_steps(4), loop=LoopConfig(), data=tmp_path / "out", out=tmp_path / "run"
    ).train("judge")
    judge = Judge.load(tmp_path / "run" / "model" / "judge")
    assert np.isfinite(judge.config.measure_mean).all() and all(p.isfinite().all() for p in judge.parameters())
