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
_RATIO = r"(?:(?:cardio-?thoracic|c/?t|heart[ -]to[ -]chest) (?:ratio|index)|ctr\b)"
_CM_SILHOUETTE = (
    r"(?:cardio-?mediastin\w+|cardiac(?: and|/| ?-) ?mediastinal|heart and mediastin\w+|"
    r"heart size and mediastin\w+)(?: silhouettes?| contours?| structures)?"
)
_MEDIASTINUM = (
    r"(?:(?:superior |upper )?mediastin(?:um|al(?: and hilar)? (?:silhouette|contours?|structures|width|"
    r"shadow)))"
)
_NORMAL = (
    r"(?:(?:with)?in normal|wnl\b|nl\b|(?:grossly |otherwise )?normal|unremarkable|stable and normal|"
    r"not (?:significantly |grossly )?(?:enlarged|widened)|top[- ]?normal)"
)
_COPULA = r"(?:are|is|appears?|remains?|look|seem)"
_IS = (
    r"(?: size| contours?| silhouettes?| structures)*(?:,? (?:and|is|are|appears?|remains?|was|were|both|all|"
    r"to be|grossly|again|demonstrates?|shows?|within|pulmonary vascul\w+|vascular pedicle|hil\w+|size|"
    r"contours?|silhouettes?|shape|configuration|in|the|mediastin\w+|vascularity|cardiac|stable|of|has|"
    r"have|returned|back|to|otherwise|overall)){0,9} "
)


@dataclass(frozen=True)
class Words:
    """How one finding is named: `present` may be negated or weakened around it, `normal` says that it is absent,
    `uncertain` names something that may be it."""

    present: tuple[str, ...]
    normal: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    implied: tuple[str, ...] = ()
    """Other findings that are this one too when they are there; their absence says nothing of it."""
    unless_after: str = ""
    """Words just before a phrase that make it mean something else."""


LEXICON: dict[Finding, Words] = {
    Finding.ATELECTASIS: Words(
        (
            r"atelecta\w+|atx\b|plate-?like (?:band|atelecta)\w*",
            (
                r"(?:lobar|segmental|lobe|lung|basilar|basal|bibasilar|partial|complete|compressive|rll|rul|"
                r"rml|lll|lul|lingular) (?:collapse\b|(?:is |has |have )?(?:also |now |partially |"
                r"completely )*collapsed)"
            ),
            r"collapse(?:-| and |/)consolidation|collapse of (?:the )?(?:\w+ ){0,3}(?:lobe|lung|lingula)",
            r"collapsed? (?:of the )?(?:left |right |upper |lower |middle )*(?:lobe|lung)",
        )
    ),
    Finding.CARDIOMEGALY: Words(
        (
            (
                r"cardiomegaly|(?<!\d )(?<!few )(?<!some )(?<!several )cm(?=[,:;]|\.?$)|(?:cardiac|heart|"
                r"(?:bi|left |right )?ventricular|biventricular|"
                r"chamber) (?:enlargement|dilat\w+)"
            ),
            (
                rf"{_RATIO}{_GAP}(?:increased|enlarged|elevated|high|large|raised|abnormal|(?:above|"
                rf"greater than|more than|over|>) ?5\d ?%)"
            ),
            (
                rf"{_RATIO}[^;:]{{0,20}}?(?:0?\.(?:5[1-9]|[6-9])|(?:5[1-9]|[6-9]\d) ?%|(?:>|above|over|"
                rf"than) ?(?:0?\.5|50))"
            ),
            rf"(?:increased|enlarged|elevated|high|large|raised|abnormal) {_RATIO}",
            rf"{_HEART}{_GAP}(?:(?<!not )(?:larger|bigger)\b|has (?:increased|enlarged|grown)\b|wide\b|dilated)",
            r"(?:dilated|big|bulky|globular) (?:heart|cardiac (?:silhouette|shadow))|megacardia",
            r"enlarge(?:d|ment)(?: of)?(?: the| a)?(?: overall)? (?:heart|cardiac|cardiopericardial)",
            r"large heart",
            rf"{_HEART}{_GAP}{_LARGE}",
            rf"{_CM_SILHOUETTE}{_GAP}enlarged",
            rf"{_HEART}{_IS}{_DEGREE}?borderline",
            r"borderline (?:in )?(?:size|enlarged|heart|cardiac)",
        ),
        (
            rf"{_HEART}{_IS}{_NORMAL}",
            rf"{_RATIO}{_IS}{_NORMAL}|normal {_RATIO}|{_HEART}{_GAP}(?:not|no longer) (?:\w+ )?(?:enlarged|big|large)",
            r"no (?:\w+ )?(?:cardiac|heart) enlargement",
            rf"{_CM_SILHOUETTE}{_IS}{_NORMAL}|heart and lungs?{_IS}(?:{_NORMAL}|clear)|normal[- ]sized? heart",
            r"(?:normal|nl) (?:heart|cardiac|cardio-?mediastin\w+)",
            rf"{_HEART}, {_NORMAL}",
            r"normal (?:size|appearance|contour) (?:of the )?(?:heart|cardiac)",
            r"normal in (?:size|contour) (?:of the )?(?:heart|cardiac)",
        ),
        (
            rf"{_HEART}{_IS}{_DEGREE}?(?:at )?(?:the )?(?:upper limits?(?: of)? normal|upper[- ]normal|prominent)",
            rf"{_HEART} is (?:mildly )?(?:accentuated|magnified)|prominent (?:heart|cardiac)",
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
            r"o?edema\b|kerley",
        ),
        unless_after=r"\b(?:tissue|wall|extremit\w+|legs?|peripheral|dependent|marrow) $",
        uncertain=(
            r"(?:congestive )?heart failure|chf\b|(?:cardiac|cardiogenic) decompensation",
            r"(?:pulmonary )?(?:venous|vascular) congestion|pulmonary (?:interstitial )?congestion",
            r"(?:fluid|volume) overload",
        ),
    ),
    Finding.ENLARGED_CARDIOMEDIASTINUM: Words(
        (
            r"mediastin\w+ (?:widening|enlargement)",
            rf"{_CM_SILHOUETTE}{_GAP}(?:widened|wide\b)",
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
    Finding.FRACTURE: Words(
        (
            (
                r"fractur\w+|fx\b|(?:compression|wedge|wedging) deformit\w+|vertebra\w* (?:body )?(?:height loss|"
                r"compression|collapse)|wedge compression|broken (?:\w+ )?(?:ribs?|clavicle)"
            ),
        )
    ),
    Finding.LUNG_LESION: Words(
        (
            r"(?:micro)?nodules?\b|mass(?:es)?\b(?! effect)(?! index)|tumou?rs?\b",
            r"(?:lung|pulmonary|bronchogenic|bronchial) (?:cancers?|carcinomas?|neoplas\w+|malignan\w+|metasta\w+)",
            (
                r"metasta(?:s[ie]s|tic (?:disease|deposits?|lesions?|nodul\w+))(?! (?:to|of|in) the (?:bones?|"
                r"spine|liver|brain|ribs?))|(?<!granulomatous )(?:cavitary|spiculated|coin) (?:lesions?|"
                r"opacit\w+|densit\w+)"
            ),
            r"pulmonary (?:arteriovenous malformation|hamartoma)|lymphangitic|granulomas? or nodul\w+",
            r"(?:lung|pulmonary|cavitary|cavitating|parenchymal) lesions?",
        ),
        uncertain=(r"(?:fibro|reticulo)?nodular(?:ity)?\b|mass-?like|neoplas\w+|malignan\w+",),
        unless_after=r"mediastinal $",
    ),
    Finding.LUNG_OPACITY: Words(
        (
            r"(?:micro)?opaci(?!fication of vess)\w+|infiltrat\w+",
            r"air[- ]?space (?:disease|process|opacit\w+|abnormalit\w+)|ground[- ]?glass|hazy|haziness",
            (
                r"(?:pulmonary|lung|focal|patchy|hazy|streaky|basilar|bibasilar|airspace|parenchymal|"
                r"interstitial|linear|lobe|nodular)"
                r" densit(?:y|ies)"
            ),
            r"increased (?:density|markings)",
            r"interstitial (?:lung |marking|prominence|pattern|thickening|disease|change|process)\w*",
            r"reticul(?:ar|ation|onodular)\w*|(?:parenchymal|bronchovascular) (?:scarring|disease)",
            (
                r"peribronchial (?:thickening|cuffing)|(?:air|increased) bronchograms?|tree-in-bud|"
                r"honeycomb\w*|miliary|white-?out"
            ),
            (
                r"(?:lungs?|hemithorax|bases?|lobe|zones?|lingula) (?:\w+ ){0,3}(?:opaque|white)|shadowing|"
                r"interstitial (?:lung )?(?:prominence|accentuation|coarsening|abnormalit\w+|infiltrat\w+)"
            ),
            r"(?:prominent|coarse\w*|accentuated|increased) (?:\w+ )?(?:interstiti\w+|markings)",
        ),
        (
            (
                r"(?:lungs?|lung fields?|lung zones)(?: fields| volumes| parenchyma)?(?: are| is| appears?| remains?|,)"
                r"*(?: both| grossly| otherwise| essentially| well[- ]expanded| symmetrically| hyperexpanded| normally|"
                r" inflated| and| bilaterally|,)* clear\b"
            ),
            (
                rf"lungs? (?:fields? )?(?:{_COPULA} )?(?:(?:hyper|well|hypo|poorly|under|over|low|fully|"
                rf"normally)[- ]?(?:inflated|expanded|aerated|volume)s?(?:,? but|,? and|,? yet|"
                rf",) ){{1,2}}(?:are |otherwise )?clear\b"
            ),
            r"clear lungs?\b|clear (?:bilaterally|lung fields)",
        ),
        implied=(r"consolidat\w+|pneumonia\b",),
    ),
    Finding.PLEURAL_EFFUSION: Words(
        (
            r"(?:pleural |subpulmonic |parapneumonic |loculated |sided |basilar )+(?:effusions?|fluid)",
            r"effusions?\b|effs?\b|(?:hydro|h[a]?emo)(?:pneumo)?thora(?:x|ces)",
            (
                r"(?:pleural|fissural|subpulmonic) fluid|fluid (?:in|within|along|at) the "
                r"(?:pleural|major|minor|fissure|right|left|costophrenic|lung bases?)\w*|empyema"
            ),
            r"hemothora(?:x|ces)|pleural collection|(?:pleuro-?|hydro)thorax",
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
            r"infectious (?:process|etiolog\w+|infiltrat\w+|disease|consolidat\w+)|pna\b|aspiration pneum\w+",
        ),
        unless_after=(
            r"(?:granulomatous|histoplasm\w+|mycobacterial|fungal|old|prior|previous|remote|healed|chronic)(?:"
            r" \w+)?\s*$"
        ),
    ),
    Finding.PNEUMOTHORAX: Words(
        (r"(?:hydro|h[a]?emo)?pneumothora(?:x|ces)|pneumothoraxes|ptx\b|(?:air|gas) in the pleural space|pleural air",)
    ),
    Finding.SUPPORT_DEVICES: Words(
        (
            r"pace ?maker\w*|pacers?\b|pacing|icd\b|aicd\b|defibrillator\w*|catheters?\b",
            r"(?:central|picc|venous|jugular|subclavian|femoral|ij|arterial) (?:venous )?(?:lines?|catheters?)\b",
            r"lines? and tubes?|(?:support|monitoring) (?:and monitoring )?(?:devices?|hardware|apparatus)",
            (
                r"picc\b|p(?:ulmonary )?a(?:rtery)? catheter|(?:e\.?t|n\.?g|o\.?g|j|g|"
                r"d)[- ]?t(?:ube)?s?\b(?<!\bgt)(?<!\bdt)(?<!\bjt)(?<!\bet)|(?:ett|ngt|ogt|cvl|cvc|cvp|tlc|"
                r"pacs|ppm|crt-?d|vad|ijv line|hickman|broviac|permacath|portacath|vascath|shiley)\b"
            ),
            (
                r"(?:endotracheal|et|ng|nasogastric|orogastric|enteric|feeding|chest|tracheostomy|thoracostomy|gastric|"
                r"dob+ho\w+|drainage) (?:tubes?|cannula\w*)"
            ),
            (
                r"tubes?\b|tracheostomy|port-?a-?cath\w*|(?:medi|infusa)?ports?\b(?! films?)|"
                r"swan(?:[- ]ganz)?\b|stents?\b|pigtails?\b"
            ),
            (
                r"(?:tavr|tavi|savr|mvr|avr)\b|valv\w+ clips?|mitra-?clip|annuloplasty|impella|watchman|"
                r"occluder|spacers?\b"
            ),
            (
                r"(?:central|venous|dialysis|arterial) (?:access|lines?|catheters?|sheaths?)|sheaths?\b|"
                r"cannulas?\b|electrodes?\b|implantable \w+|intubat\w+"
            ),
            r"(?:prosthetic|mechanical|artificial|replaced|prosthesis)(?: \w+)? valves?",
            r"valve (?:prosthes[ie]s|replacement)",
            (
                r"leads?\b(?= (?:in|over|of|tip|are|is|terminat|project|overl|ext|from|place|and|with|unchanged|remain|"
                r"intact|position))"
            ),
            r"(?:surgical|orthopedic|spinal|fixation|fusion) hardware|hardware|balloon pump|iabp\b|ecmo\b",
            r"lvad\b|dob+ho\w+|assist devices?|vp shunt|ventriculoperitoneal|stimulator|drains?\b|loop recorder",
        )
    ),
}

_ORGANS = (
    r"(?:pericardi(?:al|um)|joint|knee|hips?|ankles?|legs?|feet|foot|lower extremit\w+|extremit\w+|wrist|"
    r"middle ear|ear|"
    r"sinus\w*|abdom\w+|"
    r"breasts?|renal|kidneys?|thyroid|hepatic|liver|spleen|splenic|pancrea\w+|adrenal|bowel|colon\w*|gastric|stomach|"
    r"bladder|pelvi\w+|prostat\w+|ovar\w+|uter\w+|urinary(?: tract)?|(?:\w+ )?site|tooth|teeth|throat|bloodstream|"
    r"pocket|skin|wound|soft tissues?|subcutaneous(?: tissues?)?|"
    r"chest wall|nipples?|body|brain|cerebral|intracranial|laryn\w+|pharyn\w+|epiglott\w+|facial|neck|"
    r"scalp|scrotal|pedal|"
    r"periorbital|eyelid|dental|bone marrow|disc|meniscal|tonsil\w*|retroperiton\w+)"
)
OF_ANY_ORGAN = (Finding.FRACTURE, Finding.SUPPORT_DEVICES, Finding.CARDIOMEGALY, Finding.ATELECTASIS)
"""Findings that count wherever they are."""
BEFORE_OTHER_ORGANS = (
    rf"\b(?<!pleural and )(?<!pleural or )(?<!pleural/)(?<!pleural, ){_ORGANS}(?: (?:nodules?|mass|lesions?|"
    rf"fluid|(?:and |or )?{_ORGANS}))*[ -]$"
)
"""Before a mention: another organ's finding. "Pleural and pericardial effusions" are both."""
AFTER_OTHER_ORGANS = rf",? (?:of|in|at|involving|within|around) (?:the |his |her |both |an? )?(?:\w+ )?{_ORGANS}\b"
"""After a mention: likewise."""
