"""The words in which a prompt may ask for something, and those in which it is put to a model.

`labeler` says which finding is meant and whether it is denied; here stands what is finer than the findings (which
device, nodule or mass), what is said of them (size, side, place), and the nouns that a model may know them by.
"""

from __future__ import annotations

from dataclasses import dataclass

from omnicxr.domain import Finding

EXTENT, SEVERITY = ("small", "moderate", "large"), ("mild", "moderate", "severe")
"""The two scales of sizes, as reports use them."""
SIZES = {
    **dict.fromkeys(
        (
            "small", "tiny", "trace", "minimal", "minimally", "slight", "slightly", "mild", "mildly", "minor", "little",
            "subtle", "faint", "minute", "borderline", "miniscule", "minuscule",
        ),
        0,
    ),
    **dict.fromkeys(("moderate", "moderately", "medium"), 1),
    **dict.fromkeys(
        (
            "large", "massive", "massively", "big", "huge", "extensive", "severe", "severely", "marked", "markedly",
            "gross", "grossly", "significant", "significantly", "substantial", "giant", "gigantic", "enormous", "major",
            "considerable", "complete", "total", "pronounced",
        ),
        2,
    ),
}  # fmt: skip
"""Word => its step on either scale."""
SIDES = {
    "left": "left", "leftsided": "left", "right": "right", "rightsided": "right",
    **dict.fromkeys(("bilateral", "bilaterally", "both", "bibasilar", "bibasal", "biapical"), "bilateral"),
}  # fmt: skip
PLACES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"(?:upper|superior)(?: lobes?| lungs?| (?:lung )?(?:zones?|fields?))", "upper lobe", ("upper lobe",)),
    (r"(?:lower|inferior)(?: lobes?| lungs?| (?:lung )?(?:zones?|fields?))", "lower lobe", ("lower lobe",)),
    (r"middle(?: lobes?)", "middle lobe", ("middle lobe",)),
    (r"mid(?:dle)?[ -]?(?:lungs?|zones?|(?:lung )?(?:zones?|fields?))", "mid lung", ("mid lung",)),
    (r"(?:upper|lower|middle)(?=(?:,|,? and|,? or) (?:(?:left|right) )?(?:upper|lower|middle) lobes?)", "", ()),
    (r"(?:lung )?bases?\b|(?:bi)?basilar|(?:bi)?basal", "base", ("basilar", "lower lobe")),
    (r"(?:lung )?(?:apex|apices)|(?:bi)?apical(?:ly)?", "apex", ("apical", "upper lobe")),
    (r"lingul(?:a|ar)\b", "lingula", ("lingular", "upper lobe")),
    (r"retrocardiac", "retrocardiac", ("retrocardiac", "lower lobe")),
    (r"(?:peri|para)hilar", "perihilar", ("perihilar",)),
)
"""Pattern, the place it names, and how a model may be told it, the first that it knows: a lobe that holds the place
where it has no word for it. Not for pleural findings: an effusion at the base is an effusion."""
ON_THE_LEFT = ("lingula", "retrocardiac")
"""Places that are in the left lung unless the text says otherwise."""
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
            "twelfth")  # fmt: skip


@dataclass(frozen=True)
class Concept:
    """Something finer than a finding."""

    finding: Finding
    pattern: str
    """Over lower-case text, at or around the words by which the labeler found it."""
    nouns: tuple[str, ...] = ()
    """What it may be called, the most exact first; the words of the text themselves where there is none."""
    device: str = ""
    """Its name, for support devices."""
    frame: str = "{}"
    """The sentence around a device."""


F = Finding
_LOBAR = ("airspace opacity", "consolidative opacity", "opacity", "consolidation")
_LINE = ("central line", "central venous catheter")
CONCEPTS: tuple[Concept, ...] = (
    Concept(F.PLEURAL_EFFUSION, r"empyema", ("empyema", "pleural effusion")),
    Concept(F.PLEURAL_EFFUSION, r"h[a]?emo(?:pneumo)?thora\w+", ("hemothorax", "pleural effusion")),
    Concept(
        F.PLEURAL_EFFUSION, r"blunt\w+", ("costophrenic angle blunting", "costophrenic blunting", "pleural effusion")
    ),
    Concept(F.PLEURAL_EFFUSION, r"", ("pleural effusion", "effusion")),
    Concept(F.PNEUMOTHORAX, r"", ("pneumothorax",)),
    Concept(F.CONSOLIDATION, r"consolidative (?:opacit\w+|change\w*)", ("consolidative opacity", "consolidation")),
    Concept(F.CONSOLIDATION, r"", ("consolidation",)),
    Concept(F.LUNG_OPACITY, r"infiltrat\w+", ("infiltrate", *_LOBAR)),
    Concept(F.LUNG_OPACITY, r"air[- ]?space \w+", ("airspace disease", *_LOBAR)),
    Concept(
        F.LUNG_OPACITY,
        r"interstiti\w+|reticul\w+|markings|miliary|honeycomb\w*|peribronchial|scarring|bronchogram\w*|linear|"
        r"streaky|tree-in-bud|bronchovascular",
    ),
    Concept(F.LUNG_OPACITY, r"", ("opacity", *_LOBAR)),
    Concept(F.LUNG_LESION, r"nodular \w+", ("nodular opacity", "nodule")),
    Concept(F.LUNG_LESION, r"(?:pulmonary |lung )?(?:micro)?nodul\w+|coin \w+", ("nodule",)),
    Concept(F.LUNG_LESION, r"mass\w*", ("mass",)),
    Concept(F.LUNG_LESION, r"metasta\w+", ("metastases", "nodules", "nodule")),
    Concept(F.LUNG_LESION, r"tumou?rs?|cancers?|carcinomas?|neoplas\w+|malignan\w+", ("tumor", "mass")),
    Concept(F.LUNG_LESION, r"", ("lesion", "nodule", "mass")),
    Concept(F.ATELECTASIS, r"collaps\w+", ("collapse", "atelectasis")),
    Concept(F.ATELECTASIS, r"", ("atelectasis",)),
    Concept(F.CARDIOMEGALY, r"", ("cardiomegaly", "enlarged heart")),
    Concept(F.ENLARGED_CARDIOMEDIASTINUM, r"", ("widened mediastinum", "mediastinal widening", "enlarged mediastinum")),
    Concept(F.EDEMA, r"interstitial (?:pulmonary )?o?edema", ("interstitial pulmonary edema", "pulmonary edema")),
    Concept(
        F.EDEMA, r"kerley(?: [abc])?(?: lines?)?", ("kerley lines", "interstitial pulmonary edema", "pulmonary edema")
    ),
    Concept(F.EDEMA, r"congestion", ("vascular congestion", "pulmonary edema")),
    Concept(F.EDEMA, r"failure|decompensation|chf|overload", ("heart failure", "pulmonary edema")),
    Concept(F.EDEMA, r"", ("pulmonary edema", "edema")),
    Concept(F.FRACTURE, r"ribs? fractur\w+|(?:broken|fractured) ribs?", ("rib fracture", "rib fractures")),
    Concept(F.FRACTURE, r""),
    Concept(F.PNEUMONIA, r"", ("pneumonia", "infiltrate", "airspace disease", "consolidation")),
    Concept(F.PLEURAL_OTHER, r""),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:implant\w+ )?(?:cardio\w+[- ])?(?:a?icd\b|defibrillator\w*)",
        ("defibrillator", "chest wall pacemaker", "pacemaker"),
        "defibrillator",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:permanent |cardiac |chest wall )*(?:pace ?makers?|pacers?|pacing (?:device|wires?|leads?)|ppm|crt-?d)"
        r"(?: generator| device| leads?| wires?)*",
        ("chest wall pacemaker", "pacemaker"),
        "pacemaker",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"picc(?: lines?| catheters?)?|peripherally inserted central \w+(?: \w+)?",
        ("picc line", "picc", *_LINE),
        "PICC",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:chest |subclavian |jugular )*(?:port-?a-?cath\w*|port a cath|(?:medi|infusa)?ports?)(?: catheters?)?",
        ("port", "mediport", *_LINE),
        "port",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:pulmonary (?:artery |arterial )|swan[- ]?(?:ganz)?[- ]?)(?:catheters?)?",
        ("pulmonary artery catheter", "swan ganz catheter"),
        "pulmonary artery catheter",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:pigtail|pleural|chest|thoracostomy|intercostal)[- ](?:drainage )?(?:catheters?|drains?|tubes?)|pigtails?",
        ("chest tube",),
        "chest tube",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:(?:endotracheal|breathing|et)[- ]tubes?|intubat\w+|ett\b)",
        ("endotracheal tube",),
        "endotracheal tube",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:nasogastric|ng|gastric)[- ]tubes?|ngt\b",
        ("nasogastric tube", "enteric tube"),
        "nasogastric tube",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:orogastric|og|enteric|feeding|dob+ho\w+)(?:[- ]tubes?)?|ogt\b",
        ("feeding tube", "enteric tube", "nasogastric tube"),
        "feeding tube",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES, r"tracheostomy(?: tubes?| cannula)?", ("tracheostomy tube",), "tracheostomy", "{} in place"
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:internal |external )?jugular (?:central )?(?:venous )?(?:lines?|catheters?)",
        ("internal jugular central line", *_LINE),
        "central line",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:tunneled |permanent )*(?:hemo)?dialysis (?:lines?|catheters?)",
        ("dialysis catheter", *_LINE),
        "central line",
        "{} in place",
    ),
    Concept(
        F.SUPPORT_DEVICES,
        r"(?:(?:(?:single|double|dual|triple)[- ]lumen |tunneled |subclavian |femoral )+(?:central )?|"
        r"central )(?:venous )?(?:access )?"
        r"(?:lines?|catheters?)|hickman\w*(?: \w+)?|broviac|permacath|vascath|cv[lc]\b",
        _LINE,
        "central line",
        "{} in place",
    ),
    Concept(F.SUPPORT_DEVICES, r""),
)
"""The last of a finding, without a pattern, is what is none of the others."""

DENIED: dict[Finding, tuple[str, ...]] = {
    F.PLEURAL_EFFUSION: ("pleural effusion",),
    F.PNEUMOTHORAX: ("pneumothorax",),
    F.CONSOLIDATION: ("focal consolidation", "consolidation"),
    F.EDEMA: ("pulmonary edema", "edema"),
    F.PNEUMONIA: ("pneumonia",),
    F.LUNG_OPACITY: ("focal airspace disease", "infiltrate"),
    F.LUNG_LESION: ("nodule",),
    F.ATELECTASIS: ("atelectasis",),
    F.FRACTURE: ("fracture",),
}
"""What stands after "No": the first whose words the model knows, if its reports deny the finding at all."""
DENIED_IN_A_SENTENCE: dict[Finding, tuple[str, ...]] = {
    F.CARDIOMEGALY: ("Heart size is normal.", "The heart is normal in size.", "Normal heart size."),
    F.ENLARGED_CARDIOMEDIASTINUM: (
        "The mediastinal contours are normal.",
        "Mediastinal contours are normal.",
        "Normal mediastinum.",
    ),
    F.LUNG_OPACITY: ("The lungs are clear.", "Lungs are clear.", "Clear lungs."),
}
"""Findings that are denied by saying what is normal."""
DENIED_AS = {F.PNEUMONIA: F.CONSOLIDATION}
"""What is denied in place of a finding that the model's reports never deny."""
NORMAL = (
    "No acute cardiopulmonary process.",
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary disease.",
    "No acute cardiopulmonary findings.",
    "No evidence of acute cardiopulmonary disease.",
    "Normal chest radiograph.",
    "Normal chest.",
)
"""How models may say that all is well; the one whose rarest word they know best is taken."""
IS_NORMAL = (
    r"\b(?:no|without) (?:(?!interval)\w+ ){0,3}?(?:acute|active|significant) "
    r"(?:(?!bon[ey]|osseous|skelet|abdom|airspace|pleural|interval)\w+ ){0,2}?"
    r"(?:process\w*|abnormalit\w+|disease|findings?|patholog\w+)\b|"
    r"\b(?:no|without) (?:abnormalit\w+|patholog\w+|findings?|disease)\b(?! (?:to|of|that|sugg|cons|conc|for))|"
    r"\bnothing (?:abnormal|wrong)|\bno acute distress|"
    r"\b(?:normal|healthy|unremarkable|negative) (?:\w+ )?(?:chest|radiograph|film|study|exam\w*|x-?ray|cxr|lungs?|"
    r"thorax|image|picture|report)\b|\bhealthy (?=[a-z]+)|"
    r"\b(?:chest|radiograph|film|study|exam\w*|x-?ray|cxr) (?:is |was |looks )?(?:normal|unremarkable|negative)|"
    r"^(?:all |completely |totally )?(?:normal|healthy|unremarkable|negative)[.! ]*$"
)
"""A sentence that says that there is nothing, over lower-case text."""

ABBREVIATIONS = {
    "l": "left", "lt": "left", "r": "right", "rt": "right", "sm": "small", "mod": "moderate", "lg": "large",
    "bilat": "bilateral", "bil": "bilateral", "bl": "bilateral", "b/l": "bilateral", "w/": "with", "w/o": "without",
    "rul": "right upper lobe", "rml": "right middle lobe", "rll": "right lower lobe", "lul": "left upper lobe",
    "lll": "left lower lobe", "eff": "effusion", "effs": "effusions", "ptx": "pneumothorax", "pna": "pneumonia",
    "atx": "atelectasis", "ett": "endotracheal tube", "ngt": "nasogastric tube", "ogt": "orogastric tube",
    "cvl": "central line", "cvc": "central venous catheter", "ppm": "pacemaker", "ij": "internal jugular",
    "svc": "superior vena cava", "ctr": "cardiothoracic ratio", "fx": "fracture", "consol": "consolidation",
    "oedema": "edema", "centimeter": "cm", "centimeters": "cm", "centimetre": "cm", "centimetres": "cm",
    "millimeter": "mm", "millimeters": "mm", "millimetre": "mm", "millimetres": "mm", "percent": "%", "tumour": "tumor",
    "haemothorax": "hemothorax", "medium-sized": "moderate",
}  # fmt: skip
PARAPHRASES: tuple[tuple[str, str], ...] = (
    (
        r"(?:fluid|water|liquid) (?:around|outside|next to) (?:the |a )?(?P<side>left |right )?lungs?",
        "{side}pleural effusion",
    ),
    (r"(?:fluid|water|liquid) (?:in|on|inside) (?:the |both )?lungs\b", "pulmonary edema"),
    (r"(?:air|gas) (?:around|outside) (?:the |a )?(?P<side>left |right )?lungs?", "{side}pneumothorax"),
    (r"(?:massive|huge|enormous|giant) (?:heart|cardiac (?:silhouette|shadow))", "severe cardiomegaly"),
    (r"wide mediastinum", "widened mediastinum"),
)
"""What people say who write no reports."""
