"""Whether a text is English, and whether it says anything of a film."""

from __future__ import annotations

import re
from functools import lru_cache

from omnicxr.data.spelling import mend_word
from omnicxr.data.statements import find_statements

_WORDS = re.compile(r"[^\W\d_]{2,}(?:['-][^\W\d_]+)*|[dl]'[^\W\d_]{2,}")
ENOUGH = 0.2
"""Share of words that English reports use from which a text counts as English."""
_FEW = 4
"""So few words need not be known: "Vagal nerve stimulator."."""
_READ = 400
"""Words of a text that are looked at."""
_ENGLISH = re.compile(
    # function words and what reports are made of; \w* where endings vary
    r"(?:a|an|the|and|or|nor|but|of|in|on|at|to|from|for|with|without|within|by|as|than|then|that|this|these|those|"
    r"there|their|it|its|is|are|was|were|be|been|being|has|have|had|do|does|did|not|no|may|might|could|can|cannot|"
    r"would|should|will|which|who|when|while|where|if|whether|also|only|very|more|most|less|least|much|many|some|any|"
    r"all|both|each|other|another|again|still|now|since|after|before|over|under|below|above|behind|between|through|"
    r"throughout|along|into|onto|out|up|down|too|so|such|same|however|although|though|because|due|per|versus|vs|"
    r"approximately|about|around|near|nearly|almost|one|two|three|four|five|six|first|second|third|"
    r"patient\w*|film\w*|study|studies|exam|exams|examination\w*|radiograph\w*|x-?ray\w*|image\w*|view\w*|chest|lungs?|lobes?|"
    r"lobar|heart|cardiac|cardio-?\w*(?:megaly|pulmonary|thoracic|mediastinal|pericardial)|mediastin(?:al|"
    r"um)|pleura\w*|pulmonary|vascular\w*|vessels?|hil(?:a|ar|um)|aort(?:a|ic)|"
    r"diaphragm\w*|hemidiaphragm\w*|costophrenic|angles?|ribs?|bones?|bony|osseous|spine|thora(?:x|cic)\w*|spinal|"
    r"skeletal|clavic\w+|shoulder\w*|abdom\w+|soft|tissues?|trachea\w*|airway\w*|airspace\w*|apex|apices|apical|"
    r"base|bases|basilar|bibasilar|basal|retrocardiac|left|right|upper|lower|middle|mid|bilateral\w*|lateral|frontal|"
    r"portable|anterior|posterior|zones?|fields?|side\w*|normal\w*|abnormal\w*|clear\w*|unremarkable|acute\w*|"
    r"chronic\w*|stable|unchanged|change\w*|increase\w*|decrease\w*|improve\w*|worse\w*|new|old|prior|previous\w*|"
    r"mild\w*|moderate\w*|severe\w*|marked\w*|minimal\w*|small\w*|large\w*|tiny|trace|slight\w*|subtle|"
    r"focal|diffuse\w*|"
    r"patchy|linear|streaky|hazy|dense|density|densities|opaci\w+|effusion\w*|pneumothora\w+|pneumonia\w*|ptx|pna|"
    r"consolidation\w*|atelecta\w+|edema|nodul\w+|mass|masses|lesions?|fractur\w+|deformit\w+|collapse\w*|infiltrat\w+|"
    r"emphysema\w*|congesti\w+|failure|granuloma\w*|scar\w*|thicken\w+|calcifi\w+|degenerat\w+|disease|process\w*|"
    r"infect\w+|finding\w*|impression|evidence|sign\w*|seen|noted|identified|present|appear\w*|remain\w*|demonstrat\w+|"
    r"show\w*|suggest\w*|represent\w*|consistent|compatible|likely|possib\w+|probab\w+|suspect\w*|suspici\w+|question\w*|"
    r"exclude\w*|resol\w+|persist\w*|size\w*|limits?|contour\w*|silhouette\w*|enlarge\w*|wide\w*|prominen\w+|"
    r"tubes?|lines?|catheter\w*|pacemaker\w*|leads?|wires?|clips?|tips?|place\w*|position\w*|device\w*|"
    r"ett|ngt|ogt|picc|icd|aicd|tavr|svc|ij|rll|rul|lll|lul|rml|chf|copd|ct|cm|mm|cxr|pa|ap|"
    r"comparison|compared|follow\w*|recommend\w*|clinical\w*|correlat\w+|history|indication|technique|available|"
    r"volumes?|inflat\w+|hyperinflat\w+|expand\w*|elevat\w+|shift\w*|tortuous|atheroscl\w+|surgical|sternotomy|"
    r"none|nil|absent|negative|positive|free|air|fluid|gas|blunt\w*|region\w*|area\w*|level\w*|tension|status|post|"
    r"removed|removal|interval|significant\w*|definite\w*|obvious|gross\w*|well|good|bad|poor\w*|adequate|"
    r"limited|empyema|loculated|h[a]?emothorax|hydrothorax|interstitial|alveolar|miliary|metasta\w+|"
    r"tumou?rs?|"
    r"cancer|lymph\w*|hernia\w*|bronch\w+|parenchym\w+|reticul\w+|markings|overload|borderline|ratio|"
    r"cardiothoracic|rotated|supine|upright|erect|inspirat\w+|expirat\w+|motion|artifact|report\w*|read\w*|doctor|dr|"
    r"discuss\w*|telephone\w*|paged|additional|correct\w*|unable|coronary|arter\w+|stents?|hernia|"
    r"syndrome|prosthe\w+|defibrillator\w*|well|otherwise|grossly|essentially|tortuosity)",
    re.IGNORECASE,
)
_FOREIGN = re.compile(
    r"(?:el|la|los|las|de|del|y|se|con|sin|en|una?|por|que|hay|derech[oa]s?|izquierd[oa]s?|derrame|signos|"
    r"le|les|des|du|et|une|avec|sans|pas|gauche|droite?|il|lo|gli|della?|di|con|senza|non|destr[oa]|sinistr[oa]|"
    r"der|die|das|und|mit|ohne|kein\w*|nicht|ein\w*|im|links|rechts|herz\w*|lunge\w*|erguss\w*|"
    r"o|os|um|uma|com|sem|do|da|dos|das|esquerd[oa]|direit[oa]|het|een|geen|van|met|zonder|niet|og|ikke|och|ingen|"
    r"bez|nie|i|"
    r"\w+(?:megali[ae]|cion(?:es)?|cao|coes|zione|idad(?:es)?|ungen?|heit|keit|torax|torace|algia|ismo|"
    r"[ai]d[oa]s?|euse|aire|mente|idades?|mones)|[dl]'\w+|silueta|examen|estudio|informe|infiltrats|\w+eaux|bilateraux|limpi[ao]s|nos|nas|nel|nella|dans|aux?)",
    re.IGNORECASE,
)
_DESCRIBES = re.compile(
    r"\b(?:lungs?|heart|cardiac|cardio-?mediastin\w+|cardio-?pulmonary|mediastin\w+|pleura\w*|"
    r"costophrenic|hil(?:a|ar|um)|"
    r"aort(?:a|ic)|hemidiaphragms?|ribs?|bones|bony|osseous|spine|thoracic|skeletal|pulmonary|lobes?|lobar|"
    r"normal|unremarkable|clear|stable|unchanged|granulomas?|emphysema\w*|hyper(?:inflat|expan)\w+|scarring)\b|"
    r"\bno (?:acute|active|significant|evidence|radiographic|focal|new|change|interval|abnormalit|findings?\b|disease)|"
    r"\bnegative (?:chest|film|study|exam|x-?ray|radiograph)|\b(?:chest|film|study|exam\w*|"
    r"radiograph) (?:is |was )?negative"
)


def is_english(text: str) -> bool:
    """Whether a text reads as English: some of its words are those of English reports, and few those of others."""
    words = _WORDS.findall(text.lower())[:_READ]
    known = sum(map(_is_known, words))
    foreign = sum(map(_is_foreign, words))
    if not foreign and len(words) <= _FEW:
        return bool(words)
    return known > 3 * foreign and known >= ENOUGH * len(words)


@lru_cache(maxsize=1 << 15)
def _is_known(word: str) -> bool:
    return _ENGLISH.fullmatch(word) is not None or (
        not _is_foreign(word) and _ENGLISH.fullmatch(mend_word(word)) is not None
    )


@lru_cache(maxsize=1 << 15)
def _is_foreign(word: str) -> bool:
    return not word.isascii() or (_FOREIGN.fullmatch(word) is not None and _ENGLISH.fullmatch(word) is None)


def describes_a_film(text: str) -> bool:
    """Whether an English text says anything of a chest: "As above." and "The doctor was paged." do not."""
    return is_english(text) and _DESCRIBES.search(find_statements(text).text) is not None
