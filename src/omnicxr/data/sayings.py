"""What each sentence of a report says: findings with state, side, size and place; and which of them cannot both be
true.

Mentions come from the labeler (English); the words around each one, within its sentence, give side, size and place.
What radiologists write side by side in Open-I is no contradiction here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise

from omnicxr.data.labeler import Mention, find_mentions
from omnicxr.data.wording import ORDINALS
from omnicxr.domain import Finding, LabelState


@dataclass(frozen=True, kw_only=True)
class Saying:
    """One thing that a sentence says."""

    sentence: int
    """Index of the sentence in the report."""
    finding: Finding
    """`NO_FINDING` for a sentence that calls the picture normal, or without acute disease."""
    state: LabelState
    phrase: str
    """The words that name it, lower case."""
    side: str = ""
    """left, right, bilateral or empty."""
    size: str = ""
    """small, moderate, large, a measure such as "2.5 cm", or empty."""
    places: frozenset[str] = frozenset()
    """Such as "upper" and "lobe", or "rib" and "fifth"."""
    partly: bool = False
    """Whether a denial is of some kinds only: "no new effusion", "otherwise clear"."""
    minor: bool = False
    """Whether its sentence calls it old or slight: "calcified", "unchanged", "minimal", "scar"."""
    denies: frozenset[Finding] = frozenset()
    """What is absent when this is so, apart from the finding itself: "the lungs are clear"."""

    @property
    def states(self) -> bool:
        """Whether the finding is said to be there, for certain."""
        return self.state is LabelState.POSITIVE and self.finding is not Finding.NO_FINDING


def split_sentences(text: str) -> list[str]:
    """A report on one line => its sentences, with their full stops; a number of a list stays with its item."""
    return [sentence for sentence in _BETWEEN_SENTENCES.split(text.strip()) if sentence]


def read_sentences(sentences: Sequence[str]) -> list[Saying]:
    """All that the sentences of one report say, in their order; nothing for a report that is not English."""
    starts = list(accumulate((len(s) + 1 for s in sentences), initial=0))
    mentions = find_mentions(" ".join(sentences))
    sayings: list[Saying] = []
    for i, (sentence, (start, end)) in enumerate(zip(sentences, pairwise(starts), strict=True)):
        own = [m for m in mentions if start <= m.start < end]
        sayings += _of_sentence(i, sentence.lower(), own, offset=start)
        if normal := _normal(i, sentence.lower()):
            sayings.append(normal)
    return sayings


def contradictions(sayings: Sequence[Saying]) -> Iterator[tuple[Saying, Saying]]:
    """Pairs that cannot both be true, each in the order of the text."""
    for a, b in combinations(sayings, 2):
        if _denied_by(a, b) or _denied_by(b, a) or _of_two_sizes(a, b):
            yield a, b


def repetition(sentences: Sequence[str], sayings: Sequence[Saying]) -> int | None:
    """Index of the first sentence that says nothing beyond what the sentences before it say; None where all do.

    Words that are no part of a finding count as said where an earlier sentence has them.
    """
    for i, sentence in enumerate(sentences):
        own = [s for s in sayings if s.sentence == i]
        earlier = [s for s in sayings if s.sentence < i]
        if not own or not all(any(_covers(e, s) for e in earlier) for s in own):
            continue
        rest = sentence.lower()
        for phrase in sorted({s.phrase for s in own}, key=len, reverse=True):
            rest = rest.replace(phrase, " ")
        said = {word for s in sentences[:i] for word in _WORD.findall(s.lower())}
        if all(word in said or _FILLERS.fullmatch(word) for word in _WORD.findall(_DESCRIBED.sub(" ", rest))):
            return i
    return None


def _of_sentence(number: int, sentence: str, mentions: Sequence[Mention], *, offset: int) -> Iterator[Saying]:
    """What is said by the mentions in one sentence, which begins at `offset` of the text."""
    spans = sorted({(m.start - offset, m.start - offset + len(m.phrase)) for m in mentions})
    for mention in mentions:
        start = mention.start - offset
        end = start + len(mention.phrase)
        last = max((e for _, e in spans if e <= start), default=0)
        following = min((s for s, _ in spans if s >= end), default=None)
        before = sentence[last:start]
        if last and (found := _OF_AN_OTHER_ITEM.match(before)):
            before = before[found.end() :]
        after = sentence[end:following]
        if following is not None:
            after = _NEXT_ITEM.split(after, maxsplit=1)[0]
        words = sentence[start:end]
        negative = mention.state is LabelState.NEGATIVE
        if negative and not _SIDE.search(before + after):
            after = _BUT.split(sentence[end:], maxsplit=1)[0]  # "no effusion or pneumothorax on the left"
        clear = negative and mention.finding is Finding.LUNG_OPACITY and "clear" in words
        kinds = _KINDS_ONLY.get(mention.finding, _NEVER)
        partly = negative and bool(
            _PARTLY.search(sentence, 0, start)
            or kinds.search(before + words)
            or (clear and (_OTHERWISE.search(sentence) or _CLEAR_OF.match(sentence, end)))
        )
        after = _COMPARED.split(after, maxsplit=1)[0]
        for side, size in _sides_and_sizes(before, after, words):
            yield Saying(
                sentence=number,
                finding=mention.finding,
                state=mention.state,
                phrase=words,
                side=side,
                size=size,
                places=_places(f"{before} {words} {after}"),
                partly=partly,
                minor=_MINOR.search(sentence) is not None,
                denies=_CLEAR_LUNGS if clear else frozenset(),
            )


def _normal(number: int, sentence: str) -> Saying | None:
    """What is said by a sentence that calls the whole picture normal."""
    if _OTHERWISE.search(sentence) or _PARTLY_NORMAL.search(sentence):
        return None
    for pattern, denies in ((_NORMAL, _ALL), (_NOTHING_ACUTE, _ACUTE)):
        if found := pattern.search(sentence):
            return Saying(
                sentence=number, finding=Finding.NO_FINDING, state=LabelState.POSITIVE, phrase=found[0], denies=denies
            )
    return None


def _sides_and_sizes(before: str, after: str, words: str) -> list[tuple[str, str]]:
    """Side and size of a mention, from the words before it, else from those after it; both sides with a size each are
    two."""
    near = _sided(f"{before} {words}")
    if not any(side for side, _ in near):
        far = _sided(after)
        if any(side for side, _ in far):
            size = near[0][1]
            # "bilateral effusions, small on the left and moderate on the right" has its sizes after it
            return [(side, own or size) for side, own in far]
    elif len(near) == 1 and near[0][0] == "bilateral" and len(far := _sided(after)) == 2:
        return far
    if not any(size for _, size in near):
        size = next((own for _, own in _sided(after) if own), "")
        return [(side, size) for side, _ in near]
    return near


def _sided(words: str) -> list[tuple[str, str]]:
    """Sides that are named, each with the size that stands next to it; one entry without a side where none is."""
    if _RANGE.search(words):
        words = _RANGE.sub(" ", words)
    sizes = [(m.start(), _size(m)) for m in _SIZE.finditer(words)]
    sides = [(m.start(), "bilateral" if m[1].startswith(("b", "r and l", "l and r")) else _side(m[1]))
             for m in _SIDE.finditer(words)]  # fmt: skip
    names = [side for _, side in sides]
    first = sizes[0][1] if sizes else ""
    if not names:
        return [("", first)]
    if "bilateral" in names:
        return [("bilateral", first)]
    if len(set(names)) == 2:
        if len(sizes) < 2:
            return [("bilateral", first)]
        return [(side, size) for (_, side), (_, size) in zip(sides[:2], sizes[:2], strict=True)]
    return [(names[0], first)]


def _side(words: str) -> str:
    return "right" if words.startswith("r") else "left"


def _size(match: re.Match[str]) -> str:
    if match["measure"]:
        return f"{float(match['measure']):g} {match['unit']}"
    return next(name for name in ("small", "moderate", "large") if match[name])


def _places(words: str) -> frozenset[str]:
    found = {_SAME_PLACE.get(m[0].rstrip("s"), m[0].rstrip("s")) for m in _PLACE.finditer(words)}
    for m in _LOBE.finditer(words):
        found |= {{"u": "upper", "m": "middle", "l": "lower"}[m[1]], "lobe"}
    return frozenset(found)


def _denied_by(stated: Saying, other: Saying) -> bool:
    """Whether a finding that is stated is denied by the other saying."""
    if not stated.states:
        return False
    if stated.minor and other.denies and stated.finding in _OFTEN_MINOR:
        return False
    if other.finding is Finding.NO_FINDING:
        return stated.finding in other.denies
    same = stated.finding is other.finding
    if other.state is not LabelState.NEGATIVE or not (same or stated.finding in other.denies):
        return False
    if other.partly or (other.size and other.size != stated.size):
        return False
    if stated.finding in _OF_MANY_KINDS and not other.denies and _noun(stated) != _noun(other):
        return False
    if other.side and "bilateral" not in (other.side, stated.side) and other.side != stated.side:
        return False
    return other.places <= stated.places


def _of_two_sizes(a: Saying, b: Saying) -> bool:
    """Whether both state the same finding on the same side, in two sizes."""
    if not (a.states and b.states) or a.finding is not b.finding or a.sentence == b.sentence:
        return False
    sizes = {a.size, b.size}
    if a.finding not in _OF_ONE_SIZE or len(sizes) == 1 or not sizes <= {"small", "moderate", "large"}:
        return False
    if a.finding is Finding.CONSOLIDATION:
        return a.side == b.side and bool(a.places) and a.places == b.places
    return a.side == b.side or "bilateral" in (a.side, b.side)


def _covers(said: Saying, again: Saying) -> bool:
    """Whether the second says nothing that the first doesn't say."""
    if (said.finding, said.state) != (again.finding, again.state) or (said.partly and not again.partly):
        return False
    if said.finding is Finding.NO_FINDING:
        return again.denies <= said.denies
    if said.finding in _OF_MANY_KINDS and _noun(said) != _noun(again):
        return False
    if said.state is LabelState.NEGATIVE:
        at_side = said.side in ("", "bilateral", again.side)
        return at_side and said.size in ("", again.size) and said.places <= again.places and again.denies == said.denies
    at_side = again.side in ("", said.side) or said.side == "bilateral"
    return at_side and again.size in ("", said.size) and again.places <= said.places


def _noun(saying: Saying) -> str:
    """What kind of the finding is meant: the device, or the beginning of the noun."""
    if saying.finding is Finding.SUPPORT_DEVICES:
        return saying.phrase.rstrip("s")
    return saying.phrase.split()[-1][:4]


_NEVER = re.compile(r"(?!)")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])(?<!\bdr\.)(?<!\bvs\.)(?<!^\d\.)(?<![.!?]\s\d\.)\s+", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+")
_SIDE = re.compile(r"\b(bilateral(?:ly)?|bibasilar|bibasal|biapical|both|left|right|[lr](?=[uml]l\b))")
_SIZES = {
    "small": r"tiny|trace|minimal(?:ly)?|minute|small|mild(?:ly)?|slight(?:ly)?|little",
    "moderate": r"moderate(?:ly)?",
    "large": r"large|massive(?:ly)?|huge|severe(?:ly)?|marked(?:ly)?",
}
_ANY_SIZE = "|".join(_SIZES.values())
_SIZE = re.compile(
    rf"\b(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _SIZES.items())}|"
    r"(?P<measure>\d+(?:\.\d+)?)[ -]?(?P<unit>[cm]m))\b"
)
_RANGE = re.compile(rf"\b(?:{_ANY_SIZE})(?: to | or |-to-|-|/)(?:{_ANY_SIZE})\b")
"""Such as "small to moderate", which agrees with either."""
_PLACE = re.compile(
    r"\b(?:upper|middle|mid|lower|lobes?|zones?|bas(?:e|es|al|ilar)|bibas\w+|apical|apex|apices|biapical|lingula\w*|"
    r"retrocardiac|"
    rf"perihilar|ribs?|clavic\w+|vertebra\w*|compression|spin\w+|humer\w+|scapul\w+|stern\w+|{'|'.join(ORDINALS)}|"
    r"interstitial|alveolar|linear)\b"
)
_SAME_PLACE: dict[str, str] = {
    **dict.fromkeys(("base", "basal", "basilar", "bibasilar", "bibasal"), "base"),
    **dict.fromkeys(("apical", "apex", "apice", "biapical"), "apex"),
}
_LOBE = re.compile(r"\b[lr]([uml])l\b")
_OF_AN_OTHER_ITEM = re.compile(r"^[^,;]*?(?:,| and | or | nor | with | without | but )(?=.)")
"""From the finding before to the words of this one: "effusion on the left and moderate right pneumothorax"."""
_NEXT_ITEM = re.compile(r"[,;]| and | or | nor | with | without | but ")
_BUT = re.compile(r"[,;]| but | with | and ")
_PARTLY = re.compile(
    r"\b(?:new|additional|other|further|definite|significant|siz(?:e)?able|tension|recurrent|residual|interval|"
    r"increas\w+|"
    r"enlarging|worsening|superimposed|associated|displaced|suspicious|discrete|dominant|obvious|gross)\b"
)
"""Before a denied finding: of some kinds only."""
_KINDS_ONLY = {
    Finding.LUNG_OPACITY: re.compile(
        r"\b(?:focal|acute|air[- ]?space|confluent|lobar|alveolar|pneumonic|interstitial)\b"
    ),
    Finding.FRACTURE: re.compile(r"\b(?:acute|compression|pathologic\w*)\b"),
    Finding.EDEMA: re.compile(r"\b(?:overt|frank|alveolar|interstitial|acute)\b"),
}
"""Of single findings: "no focal opacity" beside "diffuse opacities", "no acute fracture" beside "old fractures"."""
_OTHERWISE = re.compile(r"\b(?:otherwise|grossly|remain(?:der|ing)|elsewhere|rest of|essentially|relatively)\b")
_CLEAR_OF = re.compile(r" (?:of|from|for|air[- ]?space)\b")
_COMPARED = re.compile(r"\b(?:compared|than|greater|larger|more|versus)\b")
_MINOR = re.compile(
    r"calcif|granulom|scar|fibro|\b(?:chronic|stable|unchanged|old|prior|previous\w*|minimal|subsegmental|discoid|plate\w*|"
    r"tiny|subcentimeter|soft tissues?|hernia\w*|overl\w+|artifact\w*|nipples?|crowding)\b"
)
_PARTLY_NORMAL = re.compile(r"\b(?:other|additional|further|new|superimposed|aside|apart|except|besides)\b")
_CARDIOPULMONARY = r"(?:cardio-?\s?(?:pulmonary|thoracic|respiratory)|intra-?thoracic|pulmonary|chest)"
_NOTHING_ACUTE = re.compile(
    rf"\bno (?:radiographic )?(?:evidence (?:of|for) )?(?:an )?(?:acute|active) {_CARDIOPULMONARY} "
    r"(?:process|abnormalit\w+|disease|findings?|patholog\w+)"
)
_NORMAL = re.compile(
    r"\b(?:normal|unremarkable) (?:frontal |pa |and |lateral |ap |portable )*(?:chest|examination|study)"
    r"(?: radiographs?| x-?rays?| films?| study)?(?=[.!]?$)"
)
_OFTEN_MINOR = frozenset({Finding.LUNG_OPACITY, Finding.ATELECTASIS, Finding.LUNG_LESION})
"""What is written beside clear lungs, and beside "no acute process", where it is old or slight."""
_CLEAR_LUNGS = frozenset({Finding.CONSOLIDATION, Finding.EDEMA, Finding.PNEUMONIA}) | _OFTEN_MINOR
_ACUTE = frozenset({Finding.PLEURAL_EFFUSION, Finding.PNEUMOTHORAX}) | _CLEAR_LUNGS
"""What few write beside "no acute cardiopulmonary process": each in under 1 % of the 1,488 reports of Open-I that say
so, where it is not minor. Enlarged hearts, fractures and devices stand there in 2 to 4 %."""
_ALL = frozenset(Finding) - {Finding.NO_FINDING, Finding.SUPPORT_DEVICES}
_OF_MANY_KINDS = frozenset(
    {Finding.SUPPORT_DEVICES, Finding.LUNG_LESION, Finding.PLEURAL_OTHER, Finding.LUNG_OPACITY, Finding.EDEMA}
)
"""One kind says nothing of another."""
_OF_ONE_SIZE = frozenset(
    {Finding.PLEURAL_EFFUSION, Finding.PNEUMOTHORAX, Finding.CARDIOMEGALY, Finding.EDEMA, Finding.CONSOLIDATION}
)
_DESCRIBED = re.compile(rf"{_SIZE.pattern}|{_SIDE.pattern}|{_PLACE.pattern}|{_LOBE.pattern}")
_FILLERS = re.compile(
    r"a|an|the|there|is|are|was|be|of|in|on|at|no|not|or|and|nor|evidence|for|to|with|without|consistent|findings?|seen|"
    r"identified|present|noted|appears?|has|have|its?|pleural|pulmonary|lungs?|heart|size|cardiac|chest|radiograph\w*|"
    r"acute|focal|sided?|place|mediastin\w+|opacity|opacities|measuring|cm|mm|normal|within|limits"
)
"""Words that say nothing beside a finding that has been said."""
