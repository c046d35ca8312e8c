"""The report: a grammar that writes findings and impression from the truth, in many phrasings, never beyond it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


ORDINALS = {n: w for n, w in enumerate(("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"), 3)}
_INDICATIONS = (
    "shortness of breath",
    "cough",
    "chest pain",
    "fever",
    "hypoxia",
    "fall",
    "evaluate for pneumonia",
    "dyspnea",
)


def write_report(truth: Truth) -> Report:
    """Write the report of a study; the same truth gives the same words."""
    return _Writer(truth).write()


class _Writer:
    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.rng = np.random.default_rng([truth.seed, truth.index, 1])
        self.positive = truth.findings()
        self.denied: set[Finding] = set()

    def pick(self, *phrasings: str) -> str:
        return phrasings[int(self.rng.integers(len(phrasings)))]

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [lesion for lesion in self.truth.lesions if isinstance(lesion, kind)]

    def write(self) -> Report:
        impression = self._impression()
        findings = self._findings()
        labels: dict[Finding, LabelState | None] = dict.fromkeys(Finding)
        labels |= dict.fromkeys(self.denied - self.positive, LabelState.NEGATIVE)
        labels |= dict.fromkeys(self.positive, LabelState.POSITIVE)
        person = "woman" if self.truth.anatomy.sex == "F" else "man"
        portable = self.truth.frontal.view is View.AP
        return Report(
            examination="CHEST (PORTABLE AP AND LAT)" if portable else "CHEST (PA AND LAT)",
            indication=f"___-year-old {person} with {self.pick(*_INDICATIONS)}.",
            findings=findings,
            impression=impression,
            labels=labels,
        )

    def _impression(self) -> str:
        sentences = [
            s
            for part in (
                self._pneumothorax,
                self._effusion,
                self._edema,
                self._consolidation,
                self._nodule,
                self._atelectasis,
                self._heart,
                self._mediastinum,
                self._fracture,
                self._devices,
            )
            for s in part()
        ]
        if not self.positive - {Finding.NO_FINDING, Finding.SUPPORT_DEVICES}:
            normal = self.pick(
                "No acute cardiopulmonary process.",
                "No acute cardiopulmonary abnormality.",
                "Normal chest radiograph.",
                "No evidence of acute cardiopulmonary disease.",
            )
            sentences.insert(int(self.rng.integers(2)) if sentences else 0, normal)
        elif self.rng.random() < 0.35:
            sentences += self._negatives(1)
        return " ".join(sentences)

    def _findings(self) -> str:
        sentences = [*self._devices()]
        sentences += self._heart() or [
            self._deny(
                Finding.CARDIOMEGALY,
                "Heart size is normal.",
                "The heart is normal in size.",
                "The cardiac silhouette is within normal limits.",
            )
        ]
        sentences += self._mediastinum() or [
            self._deny(
                Finding.ENLARGED_CARDIOMEDIASTINUM,
                "The mediastinal contours are normal.",
                "Mediastinal and hilar contours are unremarkable.",
            )
        ]
        lungs = [s for part in (self._edema, self._consolidation, self._nodule, self._atelectasis) for s in part()]
        if not lungs:
            self.denied |= {Finding.LUNG_OPACITY, Finding.CONSOLIDATION}
            lungs = [self.pick("The lungs are clear.", "The lungs are clear without focal consolidation.")]
        sentences += lungs + self._effusion() + self._pneumothorax() + self._fracture() + self._negatives(3)
        return " ".join(sentences)

    def _deny(self, finding: Finding, *phrasings: str) -> str:
        self.denied.add(finding)
        return self.pick(*phrasings)

    def _negatives(self, limit: int) -> list[str]:
        """Up to `limit` findings that are absent, denied in one sentence."""
        names = {
            Finding.PLEURAL_EFFUSION: "pleural effusion",
            Finding.PNEUMOTHORAX: "pneumothorax",
            Finding.CONSOLIDATION: "focal consolidation",
            Finding.EDEMA: "pulmonary edema",
        }
        absent = [f for f in names if f not in self.positive]
        chosen = [absent[i] for i in sorted(self.rng.permutation(len(absent))[:limit])]
        self.denied |= set(chosen)
        words = [names[f] for f in chosen]
        if not words:
            return []
        listed = words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
        return [self.pick(f"There is no {listed}.", f"No {listed}.", f"No evidence of {listed}.")]

    def _sided(self, lesions: list, noun: str) -> list[str]:  # type: ignore[type-arg]
        """Sentences for a finding that has a size on one or both sides."""
        if len(lesions) == 2 and lesions[0].size == lesions[1].size:
            s = lesions[0].size
            return [
                self.pick(
                    f"{s} bilateral {noun}s.",
                    f"There are {s} bilateral {noun}s.",
                    f"Bilateral {s} {noun}s are present.",
                )
            ]
        if len(lesions) == 2:
            a, b = lesions
            return [
                self.pick(
                    f"{a.size} {a.side} and {b.size} {b.side} {noun}s.",
                    f"Bilateral {noun}s, {a.size} on the {a.side} and {b.size} on the {b.side}.",
                )
            ]
        return [
            self.pick(
                f"{x.size} {x.side} {noun}.",
                f"There is a {x.size} {x.side} {noun}.",
                f"{x.size} {noun} on the {x.side}.",
                f"A {x.size} {noun} is present on the {x.side}.",
            )
            for x in lesions
        ]

    def _sentence(self, sentences: list[str]) -> list[str]:
        return [s[0].upper() + s[1:] for s in sentences]

    def _effusion(self) -> list[str]:
        return self._sentence(self._sided(self.of(Effusion), "pleural effusion"))

    def _pneumothorax(self) -> list[str]:
        return self._sentence(self._sided(self.of(Pneumothorax), "pneumothorax"))

    def _edema(self) -> list[str]:
        return self._sentence(
            [
                self.pick(
                    f"{x.size} pulmonary edema.",
                    f"There is {x.size} pulmonary edema.",
                    f"{x.size} interstitial pulmonary edema.",
                    f"Findings consistent with {x.size} pulmonary edema.",
                )
                for x in self.of(Edema)
            ]
        )

    def _consolidation(self) -> list[str]:
        return self._sentence(
            [
                self.pick(
                    f"{x.size} {x.lobe} consolidation.",
                    f"There is a {x.size} consolidation in the {x.lobe}.",
                    f"{x.size} consolidative opacity in the {x.lobe}.",
                    f"{x.size} airspace consolidation in the {x.lobe}.",
                )
                for x in self.of(Consolidation)
            ]
        )

    def _nodule(self) -> list[str]:
        out = []
        for x in self.of(Nodule):
            cm = f"{x.diameter_mm / 10:.1f} cm"
            out.append(
                self.pick(
                    f"{cm} {x.size} in the {x.lobe}.",
                    f"There is a {cm} {x.size} in the {x.lobe}.",
                    f"{x.lobe} {x.size} measuring {cm}.",
                )
            )
        return self._sentence(out)

    def _atelectasis(self) -> list[str]:
        found = self.of(Atelectasis)
        if not found:
            return []
        where = "bibasilar" if len(found) == 2 else f"{found[0].side} basilar"
        return self._sentence(
            [
                self.pick(
                    f"{where} atelectasis.",
                    f"There is {where} atelectasis.",
                    f"{where} linear atelectasis.",
                    f"Linear opacities at the {'lung bases' if len(found) == 2 else found[0].side + ' lung base'} "
                    "consistent with atelectasis.",
                )
            ]
        )

    def _heart(self) -> list[str]:
        return self._sentence(
            [
                self.pick(
                    f"{x.severity} cardiomegaly.",
                    f"There is {x.severity} cardiomegaly.",
                    f"The heart is {_adverb(x.severity)} enlarged.",
                    f"{x.severity} enlargement of the cardiac silhouette.",
                )
                for x in self.of(Cardiomegaly)
            ]
        )

    def _mediastinum(self) -> list[str]:
        return [
            self.pick(
                "The mediastinum is widened.",
                "Widened mediastinum.",
                "Widening of the upper mediastinum.",
                "There is widening of the mediastinal contour.",
            )
            for _ in self.of(WideMediastinum)
        ]

    def _fracture(self) -> list[str]:
        out = []
        for x in self.of(RibFracture):
            ribs = [ORDINALS[n] for n in range(x.first_rib, x.first_rib + x.count)]
            listed = ", ".join(ribs[:-1]) + " and " + ribs[-1]
            out.append(
                self.pick(
                    f"fractures of the {x.side} {listed} ribs.",
                    f"displaced {x.side} {listed} rib fractures.",
                    f"there are fractures of the {listed} ribs on the {x.side}.",
                )
            )
        return self._sentence(out)

    def _devices(self) -> list[str]:
        out = []
        for x in self.of(Device):
            match x.kind:
                case "pacemaker":
                    out.append(
                        self.pick(
                            f"{x.side} chest wall pacemaker.",
                            f"{x.side}-sided pacemaker with leads in the right heart.",
                            f"A {x.side} pectoral pacemaker is in place.",
                        )
                    )
                case "central line":
                    out.append(
                        self.pick(
                            f"{x.side} internal jugular central line ends in the superior vena cava.",
                            f"{x.side} central venous catheter in the superior vena cava.",
                            f"{x.side} central line in place.",
                        )
                    )
                case "chest tube":
                    out.append(
                        self.pick(
                            f"{x.side} chest tube.",
                            f"{x.side} chest tube is in place.",
                            f"A {x.side} chest tube is present.",
                        )
                    )
                case kind:
                    out.append(
                        self.pick(
                            f"{kind} in place.",
                            f"An {kind} is in place." if kind[0] == "e" else f"A {kind} is in place.",
                            f"{kind} in standard position.",
                        )
                    )
        return self._sentence(out)


def _adverb(severity: str) -> str:
    return {"mild": "mildly", "moderate": "moderately", "severe": "severely"}[severity]
