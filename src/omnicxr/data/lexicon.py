"""The words by which English chest X-ray reports name the findings.

Everything is a regular expression over lower-case text. Patterns match from the start of a word; ends are written out.
"""

from __future__ import annotations

from dataclasses import dataclass

from omnicxr.domain import Finding

# Gaps inside a phrase: up to some words that don't turn to another subject.
_GAP = (
    r"(?:(?!\bnormal|\bwithin|\bunremark|\baort|\bbut\b|\bwith\b|\blungs?\b|\bvascul|\bpulmonary|\bhil|\bclear)"
    r"[^.;:]){0,50}?"
)
_LARGE = r"(?:enlarg\w+|cardiomegal\w+|increased in size|(?<!as )\blarge\b|\bbig\b|\bglobular\b)"
_DEGREE = (
    r"(?:very |at least |slightly |mild(?:ly)? |minimal(?:ly)? |moderate(?:ly)? |marked(?:ly)? |severe(?:ly)? |"
    r"borderline |grossly |stabl[ey] |to )*"
)
_HEART = (
    r"(?:heart(?: size| silhouette| shadow)?|cardiac(?: silhouette| contours?| shadow| size)?|cardiopericardial"
    r" silhouette)"
)
_CM_SILHOUETTE = (
    r"(?:cardio-?mediastin\w+|cardiac(?: and|/| ?-) ?mediastinal|heart and mediastin\w+|"
    r"heart size and mediastin\w+)(?: silhouettes?| contours?| structures)?"
)
_MEDIASTINUM = r"(?:(?:superior |upper )?mediastin(?:um|al (?:silhouette|contours?|structures|width|shadow)))"
_NORMAL = (
    r"(?:(?:with)?in normal|(?:grossly |otherwise )?normal|unremarkable|stable and normal|"
    r"not (?:significantly |grossly )?(?:enlarged|widened)|top[- ]?normal)"
)
_IS = (
    r"(?: size| contours?| silhouettes?| structures)*(?:,? (?:and|is|are|appears?|remains?|was|were|both|all|"
    r"to be|grossly|again|demonstrates?|shows?|within|pulmonary vascul\w+|vascular pedicle|hil\w+|size|"
    r"contours?|silhouettes?|shape|configuration|in|the|mediastin\w+|vascularity|cardiac|stable|of)){0,9} "
)


@dataclass(frozen=True)
class Words:
    """How one finding is named: `present` may be negated or weakened around it, `normal` says that it is absent,
    `uncertain` names something that may be it."""

    present: tuple[str, ...]
    normal: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    unless_after: str = ""
    """Words just before a phrase that make it mean something else."""


LEXICON: dict[Finding, Words] = {
    Finding.ATELECTASIS: Words(
        (
            r"atelecta\w+",
            r"(?:lobar|segmental|lobe|lung|basilar|basal|bibasilar|partial|complete|compressive) collapse\b",
            r"collapsed? (?:of the )?(?:left |right |upper |lower |middle )*(?:lobe|lung)",
        )
    ),
    Finding.CARDIOMEGALY: Words(
        (
            r"cardiomegaly|cardiac enlargement",
            r"enlarge(?:d|ment)(?: of)?(?: the| a)?(?: overall)? (?:heart|cardiac|cardiopericardial)",
            r"large heart",
            rf"{_HEART}{_GAP}{_LARGE}",
            rf"{_CM_SILHOUETTE}{_GAP}enlarged",
            rf"{_HEART}{_IS}{_DEGREE}?borderline",
            r"borderline (?:in )?(?:size|enlarged|heart|cardiac)",
        ),
        (
            rf"{_HEART}{_IS}{_NORMAL}",
            rf"{_CM_SILHOUETTE}{_IS}{_NORMAL}",
            r"normal (?:heart|cardiac|cardio-?mediastin\w+)",
            rf"{_HEART}, {_NORMAL}",
            r"normal (?:size|appearance|contour) (?:of the )?(?:heart|cardiac)",
            r"normal in (?:size|contour) (?:of the )?(?:heart|cardiac)",
        ),
        (
            rf"{_HEART}{_IS}{_DEGREE}?(?:at )?(?:the )?(?:upper limits?(?: of)? normal|upper[- ]normal|prominent)",
            rf"{_HEART} is (?:mildly )?(?:accentuated|magnified)",
        ),
    ),
    Finding.CONSOLIDATION: Words((r"consolidat\w+",)),
    Finding.EDEMA: Words(
        (
            (
                r"(?:pulmonary |interstitial |alveolar |airspace |perihilar |bibasilar |mild |moderate |severe"
                r" |minimal |"
                r"acute |overt |frank )+(?:o?edema)"
            ),
            r"(?<!tissue )(?<!wall )(?<!extremity )(?<!leg )o?edema|kerley",
        ),
        uncertain=(
            r"(?:congestive )?heart failure|chf\b|(?:cardiac|cardiogenic) decompensation",
            r"(?:pulmonary )?(?:venous|vascular) congestion|pulmonary (?:interstitial )?congestion",
            r"(?:fluid|volume) overload",
        ),
    ),
    Finding.ENLARGED_CARDIOMEDIASTINUM: Words(
        (
            r"mediastin\w+ (?:widening|enlargement)",
            r"wid(?:ened|ening)(?: of the)? (?:superior |upper )?mediastin\w+",
            rf"{_MEDIASTINUM}{_GAP}(?:widen\w+|enlarged|wide\b)",
            r"enlarge(?:d|ment)(?: of the)? (?:cardio-?)?mediastin\w+",
            (
                r"cardio-?mediastin\w+(?: silhouette| contours?)?(?: is| are| appears?| remains?) (?:mildly |moderately"
                r" |markedly |slightly )?enlarged"
            ),
        ),
        (
            rf"{_MEDIASTINUM}{_IS}{_NORMAL}",
            rf"{_CM_SILHOUETTE}{_IS}{_NORMAL}",
            r"normal (?:cardio-?)?mediastin\w+",
            r"normal (?:heart|cardiac)(?: size| silhouette)? and (?:mediastin\w+)",
        ),
        (rf"{_MEDIASTINUM}{_IS}(?:mildly )?prominent", r"prominent (?:superior )?mediastin\w+"),
    ),
    Finding.FRACTURE: Words((r"fractur\w+|compression deformit\w+|vertebral (?:body )?(?:compression|collapse)",)),
    Finding.LUNG_LESION: Words(
        (
            r"(?:micro)?nodules?\b|mass(?:es)?\b(?! effect)(?! index)|tumou?rs?\b",
            r"(?:lung|pulmonary|bronchogenic) (?:cancers?|carcinomas?|neoplas\w+|malignan\w+|metasta\w+)",
            r"(?:lung|pulmonary|cavitary|cavitating|parenchymal) lesions?",
        ),
        uncertain=(r"(?:fibro|reticulo)?nodular(?:ity)?\b|mass-?like|neoplas\w+|malignan\w+",),
    ),
    Finding.LUNG_OPACITY: Words(
        (
            r"(?:micro)?opaci(?!fication of vess)\w+|infiltrat\w+",
            r"air[- ]?space (?:disease|process|opacit\w+|abnormalit\w+)|ground[- ]?glass|hazy|haziness",
            (
                r"(?:pulmonary|lung|focal|patchy|hazy|streaky|basilar|bibasilar|airspace|parenchymal|interstitial|linear|lobe|nodular)"
                r" densit(?:y|ies)"
            ),
            r"increased (?:density|markings)",
            r"interstitial (?:lung |marking|prominence|pattern|thickening|disease|change|process)\w*",
            r"reticul(?:ar|ation|onodular)\w*|(?:parenchymal|bronchovascular) (?:scarring|disease)",
            r"consolidat\w+|pneumonia|peribronchial (?:thickening|cuffing)",
        ),
        (
            (
                r"(?:lungs?|lung fields?|lung zones)(?: fields| volumes| parenchyma)?(?: are| is| appears?| remains?|,)"
                r"*(?: both| grossly| otherwise| essentially| well[- ]expanded| symmetrically| hyperexpanded| normally|"
                r" inflated| and| bilaterally|,)* clear\b"
            ),
            r"clear lungs?\b|clear (?:bilaterally|lung fields)",
        ),
    ),
    Finding.PLEURAL_EFFUSION: Words(
        (
            r"(?:pleural |subpulmonic |parapneumonic |loculated |sided |basilar )+(?:effusions?|fluid)",
            r"effusions?\b|(?:hydro|h[a]?emo)(?:pneumo)?thora(?:x|ces)",
            r"fluid (?:in|within|along) the (?:pleural|major|minor|fissure)\w*|empyema",
        ),
        (
            r"(?:costophrenic|cp) (?:angles?|sulci|recess\w*) (?:are |is |appear |remain )*(?:clear|sharp|preserved)",
            r"pleural (?:spaces?|surfaces?|recesses)(?: are| is| appears?)* (?:clear|normal|unremarkable)",
        ),
        (
            (
                r"blunt(?:ed|ing)(?: of)?(?: the)?(?: left| right| bilateral| posterior| lateral| both)*(?: and(?:"
                r" left|"
                r" right| posterior| lateral))?(?: costophrenic| cp)"
            ),
            (
                r"(?:costophrenic|cp) (?:angles?|sulc\w+|sulcus|recess\w*)(?: is| are| appears?| mildly| slightly|"
                r" minimally)* blunt\w+"
            ),
            r"(?:costophrenic|cp) (?:angle |sulcus )?blunting",
        ),
    ),
    Finding.PLEURAL_OTHER: Words(
        (
            (
                r"pleural (?:based )?(?:parenchymal"
                r" )?(?:/)?(?:thicken\w+|scar\w*|plaques?|calcificat\w+|fibrosis|reaction|disease|mass\w*|nodul\w+)"
            ),
            r"pleuro?[- ]?parenchymal (?:scar\w*|thicken\w+|fibrosis|disease)",
            r"thicken\w+ of the (?:\w+ )?pleura|fibrothorax",
            r"(?:bi)?apical (?:pleural )?(?:cap\b|capping|thicken\w+)|fissural? thicken\w+",
            r"thicken\w+ (?:of|in|along) the (?:\w+ )?fissures?|calcified pleura\w*",
        )
    ),
    Finding.PNEUMONIA: Words(
        (
            r"(?:broncho)?pneumoni(?:a|as|ae|c|tis)\b|infection\b",
            r"infectious (?:process|etiolog\w+|infiltrat\w+|disease|consolidat\w+)",
        ),
        unless_after=(
            r"(?:granulomatous|histoplasm\w+|mycobacterial|fungal|old|prior|previous|remote|healed|chronic)(?:"
            r" \w+)?\s*$"
        ),
    ),
    Finding.PNEUMOTHORAX: Words((r"(?:hydro|h[a]?emo)?pneumothora(?:x|ces)|pneumothoraxes|ptx\b",)),
    Finding.SUPPORT_DEVICES: Words(
        (
            r"pace ?maker\w*|pacers?\b|pacing|icd\b|aicd\b|defibrillator\w*|catheters?\b",
            r"(?:central|picc|venous|jugular|subclavian|femoral|ij|arterial) (?:venous )?(?:lines?|catheters?)\b",
            r"lines? and tubes?|(?:support|monitoring) (?:and monitoring )?(?:devices?|hardware|apparatus)",
            r"picc\b",
            (
                r"(?:endotracheal|et|ng|nasogastric|orogastric|enteric|feeding|chest|tracheostomy|thoracostomy|gastric|"
                r"dobbhoff|drainage) (?:tubes?|cannula\w*)"
            ),
            r"tubes?\b|tracheostomy|port-?a-?cath\w*|(?:medi)?port\b(?!able)(?!ion)|swan[- ]ganz|stents?\b",
            r"(?:prosthetic|mechanical|artificial|replaced|prosthesis)(?: \w+)? valves?",
            r"valve (?:prosthes[ie]s|replacement)",
            (
                r"leads?\b(?= (?:in|over|of|tip|are|is|terminat|project|overl|ext|from|place|and|with|unchanged|remain|"
                r"intact|position))"
            ),
            r"(?:surgical|orthopedic|spinal|fixation|fusion) hardware|hardware|balloon pump|iabp\b|ecmo\b",
            r"lvad\b|vp shunt|ventriculoperitoneal|stimulator|drains?\b|loop recorder",
        )
    ),
}

NOT_THE_CHEST = (
    r"(?:pericardial|joint|knee|middle ear|abdominal|breast|renal|thyroid|hepatic|soft"
    r" tissue|subcutaneous|nipple|body)\s*$"
)
"""Before a mention: another organ's finding."""
