"""One sentence of a prompt => what it says: each mention of a finding with the size, side and place beside it, and the
words that nothing was made of.

`labeler` finds the mentions and says which are denied; a modifier belongs to the mention of its clause (`_clauses`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from omnicxr.data.labeler import Mention, find_mentions
from omnicxr.data.modifiers import Modifiers, find_modifiers, read_modifiers, without_modifiers
from omnicxr.data.spelling import mend_word
from omnicxr.data.statements import plain
from omnicxr.data.wording import ABBREVIATIONS, CONCEPTS, IS_NORMAL, PARAPHRASES, Concept
from omnicxr.domain import Finding, LabelState


@dataclass(frozen=True)
class Token:
    """A word, number or mark of a sentence."""

    start: int
    """Offset in the sentence as written."""
    end: int
    plain_start: int
    """Offset in the sentence as it is read."""
    plain_end: int


@dataclass(frozen=True)
class Said:
    """One thing that a sentence says."""

    finding: Finding
    state: LabelState
    concept: Concept
    phrase: str
    """The words that name it, as they are read, without sizes."""
    written: str
    """Likewise, as they are written."""
    modifiers: Modifiers
    cue: str
    """What denies or weakens it."""


@dataclass(frozen=True)
class Sentence:
    """What one sentence says."""

    written: str
    read: str
    """Lower case; abbreviations written out, typing errors in names of findings mended."""
    tokens: tuple[Token, ...]
    said: tuple[Said, ...]
    left: frozenset[int]
    """Places in `tokens` of the words that are no part of what is said, nor empty."""
    normal: str = ""
    """The words, as written, that say that there is nothing."""

    def pieces(self, *, whole: bool = False) -> list[str]:
        """The words that are left, as written, those side by side together; `whole` gives one piece, from the first to
        the last."""
        if whole and self.left:
            return [self.written[self.tokens[min(self.left)].start : self.tokens[max(self.left)].end]]
        runs: list[list[int]] = []
        for i in sorted(self.left):
            between = range(runs[-1][-1] + 1, i) if runs else ()
            if runs and all(self._joins(k) for k in between):
                runs[-1].append(i)
            else:
                runs.append([i])
        return [self.written[self.tokens[run[0]].start : self.tokens[run[-1]].end] for run in runs]

    def _joins(self, i: int) -> bool:
        word = self.word(i)
        return _JOINING.fullmatch(word) is not None or not word.isalnum()

    def speaking(self) -> list[int]:
        """Places of the words that are left and are more than a size, a side, a place or a number."""
        return [i for i in sorted(self.left) if without_modifiers(self.word(i)).strip(" 0123456789.") not in _UNITS]

    def places_of(self, span: tuple[int, int]) -> set[int]:
        """Places of the tokens in a span of the sentence as it is read."""
        return {i for i, t in enumerate(self.tokens) if span[0] < t.plain_end and t.plain_start < span[1]}

    def word(self, i: int) -> str:
        """A token as it is read."""
        return self.read[self.tokens[i].plain_start : self.tokens[i].plain_end]

    def written_word(self, i: int) -> str:
        """A token as it is written, in lower case."""
        return self.written[self.tokens[i].start : self.tokens[i].end].lower()


@lru_cache(maxsize=1 << 14)
def parse(sentence: str) -> Sentence:
    """Read a sentence (one line, English). Never raises."""
    read, tokens = _read(sentence)
    spans = [_resolved(read, m) for m in _merged(find_mentions(read), read)]
    covered = [(start, end) for _, _, start, end in spans]
    spans = [s for i, s in enumerate(spans) if not _of_the_one_before(s, spans[i - 1] if i else None, read)]
    names = [(start, end) for _, _, start, end in spans]
    said: list[Said] = []
    for (mention, concept, start, end), clause in zip(spans, _clauses(read, names), strict=True):
        clause = _narrowed(read, clause, name=(start, end))
        found = find_modifiers(read, clause, name=(start, end), finding=mention.finding)
        options, used = read_modifiers(found, read, mention.finding)
        covered += used
        if concept.finding is Finding.FRACTURE and not concept.nouns and _RIBS.search(read, *clause):
            concept = _RIB_FRACTURE
            covered += [m.span() for m in _RIBS.finditer(read, *clause)]
        written = _as_written(sentence, tokens, (start, end))
        phrase = " ".join(w for w in re.findall(r"[a-z%]+|\d+", read[start:end]) if not _DEGREES.fullmatch(w))
        said += [Said(mention.finding, mention.state, concept, phrase, written, o, mention.cue) for o in options]
    normal = None if any(s.state is not LabelState.NEGATIVE for s in said) else _NORMAL.search(read)
    covered += [normal.span()] if normal else []
    covered += [m.span() for m in _ELSEWHERE.finditer(read)]
    cues = {word for s in said for word in re.findall(r"[a-z]+", s.cue)}
    left = frozenset(_left(read, tokens, covered=covered, cues=cues))
    return Sentence(
        sentence, read, tuple(tokens), tuple(said), left, _as_written(sentence, tokens, normal.span()) if normal else ""
    )


def _read(sentence: str) -> tuple[str, list[Token]]:
    """The sentence in lower case with abbreviations written out, and its tokens in both."""
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in plain(sentence))
    pieces, tokens, at, length = [], [], 0, 0
    for match in _TOKEN.finditer(lowered):
        gap = lowered[at : match.start()]
        word = _meant(match)
        pieces += [gap, word]
        start = length + len(gap)
        length = start + len(word)
        at = match.end()
        tokens.append(Token(match.start(), at, start, length))
    return "".join(pieces), tokens


def _meant(match: re.Match[str]) -> str:
    word = match[0]
    if match.lastgroup and match.lastgroup.startswith("lay"):
        i = int(match.lastgroup[3:])
        return PARAPHRASES[i][1].format(side=next((s for s in ("left ", "right ") if s in word), ""))
    return ABBREVIATIONS.get(word) or (mend_word(word) if word.isascii() else word)


def _merged(mentions: Sequence[Mention], read: str) -> list[Mention]:
    """One mention for each thing that is named: "consolidative opacity" is no opacity beside a consolidation."""
    kept: list[Mention] = []
    for m in sorted(mentions, key=lambda m: (m.start, m.finding is Finding.LUNG_OPACITY, -len(m.phrase))):
        before = kept[-1] if kept else None
        if before is None or m.state is LabelState.NEGATIVE or before.state is LabelState.NEGATIVE:
            repeated = before and m.finding is Finding.LUNG_OPACITY and m.start < before.start + len(before.phrase)
            kept += [] if repeated else [m]
            continue
        end = before.start + len(before.phrase)
        both = {m.finding, before.finding} == {Finding.PLEURAL_EFFUSION, Finding.PNEUMOTHORAX}
        adjoining = m.finding is Finding.LUNG_OPACITY and read[end : m.start] in (" ", "-")
        if both or (m.start >= end and not adjoining):
            kept.append(m)
        else:
            longer = read[before.start : max(end, m.start + len(m.phrase))]
            state = max(m.state, before.state)
            finding = before.finding if before.finding is not Finding.LUNG_OPACITY else m.finding
            kept[-1] = Mention(finding, state, longer, before.cue, before.start)
    return kept


def _resolved(read: str, mention: Mention) -> tuple[Mention, Concept, int, int]:
    """What a mention names, and where in the sentence the words of it begin and end."""
    start, end = mention.start, mention.start + len(mention.phrase)
    for concept, pattern in _CONCEPTS[mention.finding]:
        for match in pattern.finditer(read, max(0, start - 40), min(len(read), end + 40)) if concept.pattern else ():
            if match.start() <= end + 1 and match.end() >= start:
                return mention, concept, min(start, match.start()), max(end, match.end())
    return mention, _CONCEPTS[mention.finding][-1][0], start, end


_Span = tuple[Mention, Concept, int, int]


def _of_the_one_before(span: _Span, before: _Span | None, read: str) -> bool:
    """Whether a device is a part, or other words, of the one before: leads of a pacemaker."""
    mention, concept, start, _ = span
    if before is None or mention.finding is not Finding.SUPPORT_DEVICES or before[0].finding != mention.finding:
        return False
    apart = _SEPARATOR.search(read, before[3], start)
    return start < before[3] or "lead" in mention.phrase or (not apart and concept.device == before[1].device)


def _clauses(read: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The part of the sentence around each mention in which its modifiers are."""
    apart = sorted(set(spans))
    borders = [0, *(_border(read, a[1], b[0]) for a, b in pairwise(apart)), len(read)]
    clauses = dict(zip(apart, pairwise(borders), strict=False))
    return [clauses[span] for span in spans]


def _border(read: str, end: int, start: int) -> int:
    """Where between two mentions what is said of the first ends: at the first comma, "and" or the like after which
    comes no place or measure of it; without any, before the words that follow unless they say where."""
    if start <= end:
        return end
    separators = list(_SEPARATOR.finditer(read, end, start))
    for match, following in zip(separators, (*separators[1:], None), strict=False):
        rest = read[match.end() : start]
        piece = read[match.end() : following.start()] if following else ""
        if _GOES_ON.match(rest) or (piece and _MEASURE.match(piece)):
            continue
        if following and following[0].startswith(",") and _ONLY_MODIFIERS.fullmatch(piece):
            continue
        return match.start()
    return start if separators or _GOES_ON.match(read[end:start].strip()) else end


def _narrowed(read: str, clause: tuple[int, int], *, name: tuple[int, int]) -> tuple[int, int]:
    """A clause without its ends, as far as a comma, "and" or the like, that speak of something else: "severe kyphosis
    with a small effusion", "pneumothorax with shift to the right"."""
    first, last = clause
    rest = without_modifiers(read)
    for match in _SEPARATOR.finditer(read, clause[0], name[0]):
        if not _ORDINAL_BEFORE.search(read, first, match.start()) and _speaks(rest[first : match.start()]):
            first = match.end()
    for match in _SEPARATOR.finditer(read, name[1], clause[1]):
        following = _SEPARATOR.search(read, match.end(), clause[1])
        if _speaks(rest[match.end() : following.start() if following else clause[1]]):
            last = match.start()
            break
    return first, last


def _speaks(piece: str) -> bool:
    """Whether some words, without size, side and place, say anything."""
    return any(not is_empty(word) for word in re.findall(r"[^\W\d_]+", piece))


def _left(read: str, tokens: Sequence[Token], *, covered: Sequence[tuple[int, int]], cues: set[str]) -> Iterator[int]:
    """Places of the words that are neither covered nor empty."""
    for i, token in enumerate(tokens):
        word = read[token.plain_start : token.plain_end]
        if not word[:1].isalnum() or is_empty(word) or word in cues:
            continue
        if _DESCRIBING.fullmatch(word) or not any(
            start < token.plain_end and token.plain_start < end for start, end in covered
        ):
            yield i


def _as_written(sentence: str, tokens: Sequence[Token], span: tuple[int, int]) -> str:
    """The words of the sentence that were read as [start, end)."""
    inside = [t for t in tokens if t.plain_start < span[1] and t.plain_end > span[0]]
    return sentence[inside[0].start : inside[-1].end] if inside else ""


def is_empty(word: str) -> bool:
    """Whether a lower-case word says nothing by itself that could be drawn."""
    return _EMPTY.fullmatch(word) is not None


_LAY = "|".join(
    rf"(?P<lay{i}>\b{re.sub(r'[?]P<side>', '?:', pattern)}\b)" for i, (pattern, _) in enumerate(PARAPHRASES)
)
_TOKEN = re.compile(
    _LAY + r"|\b(?:b/l|w/o|s/p|h/o|r/o|x-?rays?|medium-sized)\b|\bw/|\b[a-z]\d{1,2}\b|[^\W\d_]+(?:'[^\W\d_]+)?|"
    r"\d+(?:[.,]\d+)*|[^\w\s]|_"
)
_CONCEPTS = {
    finding: [(c, re.compile(rf"(?<![a-z])(?:{c.pattern})")) for c in CONCEPTS if c.finding is finding]
    for finding in {c.finding for c in CONCEPTS}
}
_RIBS = re.compile(r"\bribs?\b")
_RIB_FRACTURE = next(c for c in CONCEPTS if c.finding is Finding.FRACTURE)
_NORMAL = re.compile(IS_NORMAL)
_ELSEWHERE = re.compile(
    r"\b(?:left|right) (?:heart|atri\w+|ventric\w+)|\bchest wall\b|\bpectoral\b|\b(?:superior )?vena cava\b|"
    r"\bcostophrenic (?:angles?|sulc\w+)|^(?:lungs?|heart|pleura|bones?|mediastinum|devices?|lines?|tubes?)(?= ?:)"
)
"""Places that are not those of a lesion, and names of what follows."""
_ORDINAL_BEFORE = re.compile(r"(?:third|th|first|second|\d|st|nd|rd)$")
_SEPARATOR = re.compile(r",? (?:and|or|with|without|no|plus|but|as well as|also) |[,;] ?| [&+] ?|\. |: | / ?|/")
_GOES_ON = re.compile(
    r"(?:(?:is|are|was|were|seen|noted|present|located|again) )*(?:in|on|at|of|within|along|measur\w+|about|up to|both|"
    r"involving|over)\b"
)
_MEASURE = re.compile(r"\d")
_ONLY_MODIFIERS = re.compile(r"\s*(?:[a-z]*(?:small|moderate|large|mild|severe|left|right|bilateral)\w* ?)+\s*")
_DEGREES = re.compile(
    r"(?:small|tiny|trace|minimal|minimally|slight|slightly|mild|mildly|moderate|moderately|severe|severely|marked|"
    r"markedly|borderline|grossly|extensive)"
)
_DESCRIBING = re.compile(
    r"(?:loculated|parapneumonic|subpulmonic|solitary|cavitary|cavitating|spiculated|calcified|displaced|hazy|"
    r"patchy)"
)
"""Words inside a name that say more than the finding."""
_UNITS = ("", "cm", "mm")
_JOINING = re.compile(r"(?:a|an|the|of|in|on|at|to|and|or|with|is|are|was|been|has)")
_EMPTY = re.compile(
    # grammar
    r"(?:a|an|the|of|in|on|at|to|from|for|with|without|within|by|as|and|or|nor|but|plus|is|are|was|were|be|been|"
    r"being|has|have|had|having|do|does|did|not|no|neither|either|there|this|that|these|those|which|who|it|its|"
    r"it's|they|their|his|her|i|we|me|my|you|your|one|than|then|so|if|when|where|while|such|into|over|along|"
    r"also|only|very|quite|some|any|more|rather|both|all|other|each|per|about|approximately|up|"
    # that something is there, and how sure it is
    r"seen|noted|present|presence|identified|evident|visible|visualized|visualised|demonstrated|demonstrates|"
    r"demonstrating|appreciated|shown|show|shows|showing|reveals|revealing|evidence|sign|signs|finding|findings|"
    r"found|consistent|compatible|representing|represents|represent|reflect|reflecting|reflects|suggest|"
    r"suggests|suggesting|suggestive|concerning|concern|suspicious|suspected|suspicion|possible|possibly|"
    r"possibility|probable|probably|likely|may|might|could|question|questionable|versus|vs|cannot|excluded|"
    r"exclude|rule|ruled|out|again|clearly|definite|definitely|obvious|apparent|appears|appear|appearing|looks|"
    r"look|otherwise|negative|free|"
    # change, which one study does not show
    r"still|new|newly|stable|unchanged|interval|increased|increasing|increase|decrease|decreased|decreasing|"
    r"improved|improving|worsened|worsening|worse|persistent|persists|persisting|residual|recent|recently|"
    r"current|currently|now|today|previously|previous|prior|comparison|compared|since|yesterday|remains|remain|"
    r"resolved|resolving|known|developing|placement|placed|inserted|status|acute|associated|"
    # what is shown to whom
    r"patient|patients|patient's|chest|x-ray|xray|x-rays|xrays|x|ray|rays|radiograph|radiographs|radiography|"
    r"film|films|image|images|picture|pictures|cxr|study|exam|view|views|pa|lateral|frontal|generate|draw|"
    r"create|make|give|want|would|like|see|need|please|produce|render|simulate|simulated|synthetic|sample|"
    r"example|case|report|someone|person|suffering|displaying|depicting|containing|include|including|includes|"
    # where, without a place
    r"side|sided|sides|hemithorax|thorax|thoracic|lung|lungs|pulmonary|pleural|pleura|space|cavity|area|region|"
    r"location|located|involving|overlying|throughout|degree|size|sized|measuring|measures|measured|diameter|"
    r"deep|wide|thick|across|maximum|lobe|lobes|rib|ribs|place|position|positioned|standard|good|satisfactory|"
    r"appropriate|proper|correct|tip|ends|end|terminates|projecting|projects|airspace|vein|veins|tension|"
    r"silhouette|contour|contours|shadow|focal)"
)
"""Words that are taken as understood though nothing is drawn from them."""
