"""Common typing errors in the words that name findings."""

from __future__ import annotations

from functools import lru_cache

_LONG = (
    "atelectasis", "bronchopneumonia", "calcification", "cardiomediastinal", "cardiomegaly", "cardiothoracic",
    "catheter", "consolidation", "consolidations", "consolidative", "costophrenic", "edema", "effusion", "effusions",
    "empyema", "endotracheal", "enlarged", "enlargement", "fracture", "fractures", "hydropneumothorax", "infection",
    "infiltrate", "infiltrates", "infiltration", "interstitial", "mediastinal", "mediastinum", "metastases",
    "metastasis", "nasogastric", "nodule", "nodules", "opacification", "opacities", "opacity", "pacemaker", "pleural",
    "pneumonia", "pneumonias", "pneumothoraces", "pneumothorax", "possible", "probable", "pulmonary", "suspicious",
    "thickening", "tracheostomy",
)  # fmt: skip
_SHORT = {
    "edma": "edema", "edmea": "edema", "edama": "edema", "oedma": "edema", "odema": "edema", "noduel": "nodule",
    "nodual": "nodule", "nodul": "nodule", "noldule": "nodule", "plural": "pleural", "plerual": "pleural",
    "effuson": "effusion", "colapse": "collapse", "collaps": "collapse", "hart": "heart", "haert": "heart",
    "enlargd": "enlarged",
}  # fmt: skip
_CORRECT = (
    "infections", "infectious", "injection", "inflection", "infraction", "inflation", "fractured", "effusive",
    "capacity", "interstitium", "pleura", "opacified", "infiltrated", "infiltrating", "infiltrative", "invention",
    "thickened", "nodular", "possibly", "probably", "probability", "possibility", "suspicion",
)  # fmt: skip
"""Words that are near one of the others and right."""
_TWO = 11
"""Words at least this long are recognised with two errors, shorter ones with one."""


@lru_cache(maxsize=1 << 16)
def mend_word(word: str) -> str:
    """Lower-case word => the word that was meant: one typing error away (two in long words), else itself.

    A typing error is a letter left out, added, exchanged, or two neighbours swapped (Damerau 1964); the first letter
    counts as right.
    """
    plain = word.replace("-", "")
    if plain.startswith("no") and plain[2:] in (*_LONG, "evidence", "acute", "focal"):
        return f"no {plain[2:]}"  # "noevidence"
    if word in _SHORT or plain in _CORRECT or plain in _LONG or not 5 < len(plain) < 20:
        return _SHORT.get(word, plain if "-" in word and plain in _LONG else word)
    for right in _LONG:
        allowed = 2 if len(right) >= _TWO else 1
        if plain[0] == right[0] and abs(len(plain) - len(right)) <= allowed and _distance(plain, right) <= allowed:
            return right
    return word


def _distance(a: str, b: str) -> int:
    """Optimal string alignment distance."""
    before, last = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
