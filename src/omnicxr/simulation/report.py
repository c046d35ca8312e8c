"""The report: a grammar that writes findings and impression from the truth, in many phrasings, never beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from omnicxr.data.wording import ORDINALS
from omnicxr.domain import Finding, Labels, LabelState, View
from omnicxr.simulation.truth import (
    Atelectasis,
    Cardiomegaly,
    Consolidation,
    Device,
    Edema,
    Effusion,
    Nodule,
    Pneumothorax,
    RibFracture,
    Truth,
    WideMediastinum,
)


@dataclass(frozen=True)
class Report:
    """Sections of one report and the labels that its words support."""

    examination: str
    indication: str
    findings: str
    impression: str
    labels: Labels

    def text(self) -> str:
        """The report file as MIMIC-CXR lays it out: one space, an all-caps header, lines of at most 79 characters."""
        out = [f"{'FINAL REPORT':>45}"]
        sections = (
            ("EXAMINATION", self.examination),
            ("INDICATION", self.indication),
            ("COMPARISON", "None."),
            ("FINDINGS", self.findings),
            ("IMPRESSION", self.impression),
        )
        for header, body in sections:
            line = f" {header}:  "
            for word in body.split():
                if len(line) + len(word) > 78:
                    out.append(line.rstrip())
                    line = " "
                line += word + " "
            out += [line.rstrip(), " "]
        return "\n".join(out)


INDICATIONS = (
    "shortness of breath",
    "cough",
    "chest pain",
    "fever",
    "hypoxia",
    "fall",
    "evaluate for pneumonia",
    "dyspnea",
)
NORMAL = (
    "No acute cardiopulmonary process.",
    "No acute cardiopulmonary abnormality.",
    "Normal chest radiograph.",
    "No evidence of acute cardiopulmonary disease.",
)
PHRASES: dict[type, tuple[str, ...]] = {
    Edema: (
        "{x.size} pulmonary edema.",
        "There is {x.size} pulmonary edema.",
        "{x.size} interstitial pulmonary edema.",
        "Findings consistent with {x.size} pulmonary edema.",
    ),
    Consolidation: (
        "{x.size} {x.lobe} consolidation.",
        "There is a {x.size} consolidation in the {x.lobe}.",
        "{x.size} consolidative opacity in the {x.lobe}.",
        "{x.size} airspace consolidation in the {x.lobe}.",
    ),
    Nodule: (
        "{cm:.1f} cm {x.size} in the {x.lobe}.",
        "There is a {cm:.1f} cm {x.size} in the {x.lobe}.",
        "{x.lobe} {x.size} measuring {cm:.1f} cm.",
    ),
    Cardiomegaly: (
        "{x.severity} cardiomegaly.",
        "There is {x.severity} cardiomegaly.",
        "The heart is {adverb} enlarged.",
        "{x.severity} enlargement of the cardiac silhouette.",
    ),
    WideMediastinum: (
        "The mediastinum is widened.",
        "Widened mediastinum.",
        "Widening of the upper mediastinum.",
        "There is widening of the mediastinal contour.",
    ),
    RibFracture: (
        "fractures of the {x.side} {ribs} ribs.",
        "displaced {x.side} {ribs} rib fractures.",
        "there are fractures of the {ribs} ribs on the {x.side}.",
    ),
}
"""What is said of one lesion `x`."""
SIDED = (
    "{x.size} {x.side} {noun}.",
    "There is a {x.size} {x.side} {noun}.",
    "{x.size} {noun} on the {x.side}.",
    "A {x.size} {noun} is present on the {x.side}.",
)
BOTH_ALIKE = (
    "{x.size} bilateral {noun}s.",
    "There are {x.size} bilateral {noun}s.",
    "Bilateral {x.size} {noun}s are present.",
)
BOTH = (
    "{x.size} {x.side} and {y.size} {y.side} {noun}s.",
    "Bilateral {noun}s, {x.size} on the {x.side} and {y.size} on the {y.side}.",
)
ATELECTASIS = (
    "{where} atelectasis.",
    "There is {where} atelectasis.",
    "{where} linear atelectasis.",
    "Linear opacities at the {bases} consistent with atelectasis.",
)
DEVICES = {
    "pacemaker": (
        "{x.side} chest wall pacemaker.",
        "{x.side}-sided pacemaker with leads in the right heart.",
        "A {x.side} pectoral pacemaker is in place.",
    ),
    "central line": (
        "{x.side} internal jugular central line ends in the superior vena cava.",
        "{x.side} central venous catheter in the superior vena cava.",
        "{x.side} central line in place.",
    ),
    "chest tube": ("{x.side} chest tube.", "{x.side} chest tube is in place.", "A {x.side} chest tube is present."),
    "endotracheal tube": (
        "endotracheal tube in place.",
        "An endotracheal tube is in place.",
        "endotracheal tube in standard position.",
    ),
    "nasogastric tube": (
        "nasogastric tube in place.",
        "A nasogastric tube is in place.",
        "nasogastric tube in standard position.",
    ),
}
NORMAL_HEART = (
    "Heart size is normal.",
    "The heart is normal in size.",
    "The cardiac silhouette is within normal limits.",
)
NORMAL_MEDIASTINUM = ("The mediastinal contours are normal.", "Mediastinal and hilar contours are unremarkable.")
CLEAR = ("The lungs are clear.", "The lungs are clear without focal consolidation.")
DENIED = {
    Finding.PLEURAL_EFFUSION: "pleural effusion",
    Finding.PNEUMOTHORAX: "pneumothorax",
    Finding.CONSOLIDATION: "focal consolidation",
    Finding.EDEMA: "pulmonary edema",
}
"""Findings whose absence is stated, and how they are called then."""
DENIALS = ("There is no {listed}.", "No {listed}.", "No evidence of {listed}.")


def write_report(truth: Truth) -> Report:
    """Write the report of a study; the same truth gives the same words."""
    return _Writer(truth).write()


class _Writer:
    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.rng = np.random.default_rng([truth.seed, truth.index, 1])
        self.positive = truth.findings()
        self.denied: set[Finding] = set()

    def say(self, phrasings: tuple[str, ...], **words: Any) -> str:
        """One of the phrasings, filled in, as a sentence."""
        text = phrasings[int(self.rng.integers(len(phrasings)))].format(**words)
        return text[0].upper() + text[1:]

    def of(self, kind: type) -> list[Any]:
        """The lesions of a kind."""
        return [lesion for lesion in self.truth.lesions if isinstance(lesion, kind)]

    def write(self) -> Report:
        """The whole report."""
        impression = self._impression()
        findings = self._findings()
        labels: dict[Finding, LabelState | None] = dict.fromkeys(Finding)
        labels |= dict.fromkeys(self.denied - self.positive, LabelState.NEGATIVE)
        labels |= dict.fromkeys(self.positive, LabelState.POSITIVE)
        person = "woman" if self.truth.anatomy.sex == "F" else "man"
        portable = self.truth.frontal.view is View.AP
        indication = INDICATIONS[int(self.rng.integers(len(INDICATIONS)))]
        return Report(
            examination="CHEST (PORTABLE AP AND LAT)" if portable else "CHEST (PA AND LAT)",
            indication=f"___-year-old {person} with {indication}.",
            findings=findings,
            impression=impression,
            labels=labels,
        )

    def _impression(self) -> str:
        sentences = self._sided(Pneumothorax, "pneumothorax") + self._sided(Effusion, "pleural effusion")
        sentences += self._lungs() + self._each(Cardiomegaly) + self._each(WideMediastinum)
        sentences += self._each(RibFracture) + self._devices()
        if not self.positive - {Finding.NO_FINDING, Finding.SUPPORT_DEVICES}:
            normal = self.say(NORMAL)
            sentences.insert(int(self.rng.integers(2)) if sentences else 0, normal)
        elif self.rng.random() < 0.35:
            sentences += self._negatives(1)
        return " ".join(sentences)

    def _findings(self) -> str:
        sentences = self._devices()
        sentences += self._each(Cardiomegaly) or self._deny({Finding.CARDIOMEGALY}, NORMAL_HEART)
        sentences += self._each(WideMediastinum) or self._deny({Finding.ENLARGED_CARDIOMEDIASTINUM}, NORMAL_MEDIASTINUM)
        sentences += self._lungs() or self._deny({Finding.LUNG_OPACITY, Finding.CONSOLIDATION}, CLEAR)
        sentences += self._sided(Effusion, "pleural effusion") + self._sided(Pneumothorax, "pneumothorax")
        return " ".join(sentences + self._each(RibFracture) + self._negatives(3))

    def _deny(self, findings: set[Finding], phrasings: tuple[str, ...]) -> list[str]:
        self.denied |= findings
        return [self.say(phrasings)]

    def _negatives(self, limit: int) -> list[str]:
        """Up to `limit` findings that are absent, denied in one sentence."""
        absent = [f for f in DENIED if f not in self.positive]
        chosen = [absent[i] for i in sorted(self.rng.permutation(len(absent))[:limit])]
        self.denied |= set(chosen)
        return [self.say(DENIALS, listed=_list([DENIED[f] for f in chosen], " or "))] if chosen else []

    def _lungs(self) -> list[str]:
        return self._each(Edema) + self._each(Consolidation) + self._each(Nodule) + self._atelectasis()

    def _each(self, kind: type) -> list[str]:
        """A sentence for every lesion of a kind."""
        return [self.say(PHRASES[kind], x=x, **_words(x)) for x in self.of(kind)]

    def _sided(self, kind: type, noun: str) -> list[str]:
        """Sentences for a finding that has a size on one or both sides."""
        lesions = self.of(kind)
        if len(lesions) == 2:
            x, y = lesions
            return [self.say(BOTH_ALIKE if x.size == y.size else BOTH, x=x, y=y, noun=noun)]
        return [self.say(SIDED, x=x, noun=noun) for x in lesions]

    def _atelectasis(self) -> list[str]:
        found = self.of(Atelectasis)
        if not found:
            return []
        both, side = len(found) == 2, found[0].side
        where, bases = ("bibasilar", "lung bases") if both else (f"{side} basilar", f"{side} lung base")
        return [self.say(ATELECTASIS, where=where, bases=bases)]

    def _devices(self) -> list[str]:
        return [self.say(DEVICES[x.kind], x=x) for x in self.of(Device)]


def _words(lesion: Any) -> dict[str, Any]:
    """What `PHRASES` need of a lesion beyond its fields."""
    match lesion:
        case Nodule():
            return {"cm": lesion.diameter_mm / 10}
        case Cardiomegaly():
            return {"adverb": {"mild": "mildly", "moderate": "moderately", "severe": "severely"}[lesion.severity]}
        case RibFracture():
            ribs = range(lesion.first_rib, lesion.first_rib + lesion.count)
            return {"ribs": _list([ORDINALS[n - 1] for n in ribs], " and ")}
        case _:
            return {}


def _list(words: list[str], last: str) -> str:
    """a, b or c; with " or " as `last`."""
    return last.join(([", ".join(words[:-1])] if words[1:] else []) + words[-1:])
