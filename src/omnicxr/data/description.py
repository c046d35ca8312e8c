"""A sentence for studies that have labels and no report: where they come from, how they were taken, what they show."""

from __future__ import annotations

from omnicxr.domain import Finding, LabelState, Study, View

VIEWS = {View.PA: "PA", View.AP: "AP", View.FRONTAL: "frontal", View.LATERAL: "lateral", View.LL: "lateral"}
PHRASES = {
    Finding.NO_FINDING: "no acute cardiopulmonary abnormality",
    Finding.ENLARGED_CARDIOMEDIASTINUM: "enlarged mediastinum",
    Finding.LUNG_LESION: "lung nodule",
    Finding.LUNG_OPACITY: "lung opacity",
    Finding.EDEMA: "pulmonary edema",
    Finding.PLEURAL_OTHER: "pleural thickening",
    Finding.FRACTURE: "rib fracture",
    Finding.SUPPORT_DEVICES: "support devices",
}
"""What a finding is called where its name would not do."""


def describe(study: Study) -> str:
    """For instance "nih radiograph, PA view. Cardiomegaly. Possible pneumonia."; "" for a study without any label.

    Positive and uncertain labels are said, negative ones are not; the source is said so that a model can be asked for
    the look of one.
    """
    if not any(state is not None for state in study.labels.values()):
        return ""
    views = list(dict.fromkeys(VIEWS[ref.view] for ref in study.images if ref.view))
    taken = f", {' and '.join(views)} view{'s' * (len(views) > 1)}" if views else ""
    said = [f"{study.source} radiograph{taken}"]
    for finding in Finding:
        phrase = PHRASES.get(finding, finding.lower())
        if study.labels.get(finding) is LabelState.POSITIVE:
            said.append(phrase[0].upper() + phrase[1:])
        elif study.labels.get(finding) is LabelState.UNCERTAIN:
            said.append(f"Possible {phrase}")
    return "".join(f"{sentence}. " for sentence in said).strip()
