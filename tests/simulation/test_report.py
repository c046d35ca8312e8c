import re

import pytest

from omnicxr.data.sections import split_sections
from omnicxr.domain import Finding, LabelState, View
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.report import write_report
from omnicxr.simulation.truth import Atelectasis, Consolidation, Device, Effusion, Nodule, Pneumothorax, RibFracture

TRUTHS = [sample_truth(11, i) for i in range(400)]

WORDS = {
    Finding.ATELECTASIS: "atelectasis",
    Finding.CARDIOMEGALY: r"cardiomegaly|enlarged|enlargement of the cardiac",
    Finding.CONSOLIDATION: "consolidation|consolidative",
    Finding.EDEMA: "edema",
    Finding.ENLARGED_CARDIOMEDIASTINUM: "widen",
    Finding.FRACTURE: "fracture",
    Finding.LUNG_LESION: r"nodule|mass\b",
    Finding.PLEURAL_EFFUSION: "effusion",
    Finding.PNEUMOTHORAX: "pneumothorax",
    Finding.SUPPORT_DEVICES: r"pacemaker|central line|central venous|line in|catheter|tube",
}


@pytest.mark.parametrize("finding", WORDS)
def test_impression_affirms_what_is_true_and_only_that(finding: Finding) -> None:
    for truth in TRUTHS:
        sentences = re.split(r"(?<=\D\.) ", write_report(truth).impression)
        affirmed = [s for s in sentences if not re.match(r"(There is )?[Nn]o\b", s)]
        said = any(re.search(WORDS[finding], s.lower()) for s in affirmed)
        assert said == (finding in truth.findings()), write_report(truth).impression


def test_sides_sizes_and_places_match_the_truth() -> None:
    for truth in TRUTHS:
        text = write_report(truth).impression.lower()
        for lesion in truth.lesions:
            match lesion:
                case Effusion() | Pneumothorax():
                    assert lesion.side in text or "bilateral" in text
                    assert lesion.size in text
                case Consolidation():
                    assert lesion.lobe in text
                    assert lesion.size in text
                case Nodule():
                    assert lesion.lobe in text
                    assert f"{lesion.diameter_mm / 10:.1f} cm" in text
                    assert lesion.size in text
                case Atelectasis():
                    assert lesion.side in text or "bibasilar" in text or "lung bases" in text
                case RibFracture() | Device(kind="pacemaker" | "central line" | "chest tube"):
                    assert lesion.side in text
                case _:
                    pass


def test_labels_deny_only_what_is_absent() -> None:
    for truth in TRUTHS:
        labels = write_report(truth).labels
        assert {f for f, s in labels.items() if s is LabelState.POSITIVE} == truth.findings()
        assert set(labels) == set(Finding)
    normal = sum(Finding.NO_FINDING in t.findings() for t in TRUTHS) / len(TRUTHS)
    assert 0.25 < normal < 0.55


def test_sections_survive_the_report_file() -> None:
    for truth in TRUTHS[:50]:
        report = write_report(truth)
        assert max(map(len, report.text().splitlines())) <= 79
        sections = split_sections(report.text())
        assert sections["impression"] == report.impression
        assert sections["findings"] == report.findings


def test_many_phrasings() -> None:
    effusions = {
        s
        for t in TRUTHS
        for s in re.split(r"(?<=\D\.) ", write_report(t).impression)
        if "large" in s.lower() and "effusion" in s
    }
    assert len(effusions) >= 8, effusions


def test_views() -> None:
    assert {t.frontal.view for t in TRUTHS} == {View.PA, View.AP}
    assert {t.lateral.view for t in TRUTHS} == {View.LATERAL, View.LL}
