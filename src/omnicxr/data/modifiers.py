"""Size, side and place of a finding, from the words around its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from omnicxr.data.wording import EXTENT, ON_THE_LEFT, ORDINALS, PLACES, SEVERITY, SIDES, SIZES
from omnicxr.domain import Finding

_BY_EXTENT = (
    Finding.PLEURAL_EFFUSION,
    Finding.PNEUMOTHORAX,
    Finding.CONSOLIDATION,
    Finding.LUNG_OPACITY,
    Finding.PNEUMONIA,
    Finding.LUNG_LESION,
    Finding.PLEURAL_OTHER,
)
"""Findings that are small or large; the others are mild or severe."""
LIMITS_CM = {Finding.PNEUMOTHORAX: (2.0, 4.0), Finding.PLEURAL_EFFUSION: (1.5, 4.5)}
"""Widths (cm) from which a pneumothorax or effusion is moderate, and large.

Pneumothorax: small below 2 cm (British Thoracic Society guideline, 2010), large from twice that. Effusion: the bounds
in use for decubitus films.
"""
LIMITS_PERCENT = (20.0, 40.0)
"""Likewise, of the hemithorax."""


@dataclass(frozen=True)
class Modifiers:
    """What is said of a finding."""

    side: str = ""
    """left, right, bilateral or empty."""
    size: str = ""
    """A word of one of the scales in `wording`, or empty."""
    size_word: str = ""
    """The word that was written for it."""
    measure: str = ""
    """A diameter or width such as "2.5 cm", or a share such as "30%"; or empty."""
    place: str = ""
    """One of `wording.PLACES`, ribs such as "fifth and sixth ribs", or empty."""
    place_span: tuple[int, int] = (0, 0)
    """Where the place stands in the sentence as it is read."""


@dataclass(frozen=True)
class Modifier:
    """One word or group of words: its kind is side, size, measure, place or ribs."""

    kind: str
    value: str
    start: int
    end: int


def scale(finding: Finding) -> tuple[str, str, str]:
    """The three words for the sizes of a finding, the least first."""
    return EXTENT if finding in _BY_EXTENT else SEVERITY


def size_of(measure: str, finding: Finding) -> str:
    """A width or share => small, moderate or large, for findings that have limits; else empty."""
    number = float(re.sub(r"[^\d.]", "", measure) or 0)
    limits = LIMITS_PERCENT if measure.endswith("%") else LIMITS_CM.get(finding)
    return EXTENT[sum(number >= limit for limit in limits)] if limits and finding in LIMITS_CM else ""


def find_modifiers(read: str, clause: tuple[int, int], *, name: tuple[int, int], finding: Finding) -> list[Modifier]:
    """The modifiers in a clause, in order; of the words that name the finding only its degree and place count."""
    found = []
    for match in _MODIFIER.finditer(read, *clause):
        kind = match.lastgroup or ""
        inside = match.start() < name[1] and match.end() > name[0]
        if inside and (match[0] in _IN_NAMES or kind in ("measure", "ribs")):
            continue
        if kind == "size" and (
            _NOT.search(read, max(0, match.start() - 12), match.start()) or _CHANGE.match(read, match.end())
        ):
            continue  # "is not large", "significant decrease"
        if (kind == "ribs" and finding is not Finding.FRACTURE) or (kind == "measure" and finding not in _BY_EXTENT):
            continue
        found.append(Modifier(kind, match[0], *match.span()))
        if match[0].startswith("bi") and kind == "place":
            found.append(Modifier("side", "bilateral", *match.span()))
    return found


def without_modifiers(read: str) -> str:
    """Lower-case text with blanks for the words for sizes, sides and places in it; of the same length."""
    return _MODIFIER.sub(lambda match: " " * len(match[0]), read)


def read_modifiers(
    found: Sequence[Modifier], read: str, finding: Finding
) -> tuple[list[Modifiers], list[tuple[int, int]]]:
    """Modifiers => what they say, once for every side or place that has its own, and the places of those used.

    "small left and large right" are two; "left and right" is bilateral; of two measures the larger counts.
    """
    groups = _groups(found, read)
    measures = [m for group in groups for m in group if m.kind == "measure"]
    if any(m in group for group in groups for m in measures if not any(o.kind in ("side", "place") for o in group)):
        largest = max(measures, key=lambda m: _number_of(m.value))
        groups = [[m for m in group if m.kind != "measure" or m is largest] for group in groups]
    options, used, shared = [], [], Modifiers()
    for group in filter(None, groups):
        one, spans = _of_group(group, finding)
        used += spans
        if (one.side or one.place) and not (one.side == "bilateral" and not one.place):
            options.append(one)
        else:
            shared = Modifiers(*(getattr(one, f) or getattr(shared, f) for f in _FIELDS))
    return _joined(options, shared), used


def _groups(found: Sequence[Modifier], read: str) -> list[list[Modifier]]:
    """Modifiers that no comma, "and" or "or" stands between."""
    groups: list[list[Modifier]] = []
    for modifier in found:
        if groups and not _APART.search(read, groups[-1][-1].end, modifier.start):
            groups[-1].append(modifier)
        else:
            groups.append([modifier])
    return groups


def _of_group(group: Sequence[Modifier], finding: Finding) -> tuple[Modifiers, list[tuple[int, int]]]:
    """What modifiers side by side say."""
    out = Modifiers()
    for modifier in group:
        if modifier.kind == "side":
            side = SIDES[modifier.value]
            out = replace(out, side=side if out.side in ("", side) else "bilateral")
        elif modifier.kind == "size":
            size = scale(finding)[SIZES[modifier.value]]
            if not out.size or scale(finding).index(size) > scale(finding).index(out.size):
                out = replace(out, size=size, size_word=modifier.value)
        elif modifier.kind == "measure":
            out = replace(out, measure=_measure(modifier.value))
        else:
            place = _ribs(modifier.value) if modifier.kind == "ribs" else _place(modifier.value)
            out = replace(out, place=place, place_span=(modifier.start, modifier.end))
            if place in ON_THE_LEFT and not out.side:
                out = replace(out, side="left")
    return out, [(m.start, m.end) for m in group]


def _joined(options: Sequence[Modifiers], shared: Modifiers) -> list[Modifiers]:
    """Each option with what it shares with the one before and with all; those that only differ in side as one."""
    out: list[Modifiers] = []
    for option in options:
        before = out[-1] if out else shared
        if not option.side and option.place and before.side:
            option = replace(option, side=before.side)
        size = option if option.size or option.measure else before
        option = replace(option, size=size.size, size_word=size.size_word, measure=size.measure)
        if before.place and not before.side and option.side and not option.place:
            option = replace(option, place=before.place, place_span=before.place_span)
            out = out[:-1]  # "upper lobe nodule, right"
        elif out and not before.place and option.place and before.side == option.side:
            out = out[:-1]  # "on the left, at the base"
        elif out and before.side and not option.side:
            option = replace(option, side=before.side)
        out.append(option)
    if len(out) > 1 and not any(o.place or o.size or o.measure for o in out):
        sides = {o.side for o in out}
        out = [Modifiers(side=sides.pop() if len(sides) == 1 else "bilateral")]
    if len({(o.size, o.measure, o.place) for o in out}) == 1 and {o.side for o in out} == {"left", "right"}:
        out = [replace(out[0], side="bilateral")]
    out = list(dict.fromkeys(out)) or [shared]
    if not (shared.size or shared.measure):
        return out
    return [
        o if o.size or o.measure else replace(o, size=shared.size, size_word=shared.size_word, measure=shared.measure)
        for o in out
    ]


def _measure(text: str) -> str:
    """As written => the largest number in cm, or the share."""
    return f"{_number_of(text):g}%" if text.endswith("%") else f"{_number_of(text):.1f} cm"


def _number_of(measure: str) -> float:
    """The largest number of a measure as written: a share, or a length in cm."""
    largest = max(float(n.replace(",", ".")) for n in re.findall(r"\d+(?:[.,]\d+)?", measure))
    return largest / 10 if measure.endswith("mm") else largest


def _place(text: str) -> str:
    for pattern, place, _ in _PLACES:
        if pattern.fullmatch(text):
            return place
    return f"{text} lobe"  # "left upper and lower lobes"


def _ribs(text: str) -> str:
    """ "5th to 7th" => "fifth, sixth and seventh ribs"."""
    numbers = [_number(word) for word in re.findall(r"[a-z]{4,}(?<!through)|\d+", text)]
    if re.search(r"\d\w*(?: ?- ?| to | through )|[a-z](?: to | through )", text) and len(numbers) == 2:
        numbers = list(range(min(numbers), max(numbers) + 1))
    names = [ORDINALS[n - 1] for n in numbers if 0 < n <= len(ORDINALS)]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) + " ribs" if names else ""


def _number(word: str) -> int:
    return int(word) if word.isdigit() else ORDINALS.index(word) + 1 if word in ORDINALS else 0


_FIELDS = ("side", "size", "size_word", "measure", "place", "place_span")
_APART = re.compile(r",| and | & | \+ | or ")
_NOT = re.compile(r"(?:\bnot|n't)(?: very| so| too)? $")
_CHANGE = re.compile(r",? (?:interval )?(?:decreas|increas|improv|chang|worsen|progress|resol|resorp)")
_IN_NAMES = ("large", "big", "gross", "complete", "total", "massive")
"""Words that belong to names such as "large heart"."""
_NUMBER = r"\d+(?:[.,]\d+)?"
_ORDINAL = rf"(?:{'|'.join(ORDINALS)}|\d{{1,2}}(?:st|nd|rd|th)?)"
_PLACES = [(re.compile(pattern), place, told) for pattern, place, told in PLACES]
_MODIFIER = re.compile(
    rf"(?<![a-z\d.])(?:(?P<measure>{_NUMBER}(?: ?(?:x|by|-|to) ?{_NUMBER}){{0,2}}[ -]?(?:cm|mm|%)(?![a-z]))|"
    rf"(?P<ribs>{_ORDINAL}(?:(?:,? and |, ?| ?- ?| to | through | ?& ?){_ORDINAL}){{0,8}}(?= (?:\w+ )?ribs?\b))|"
    rf"(?P<place>(?:{'|'.join(pattern for pattern, _, _ in PLACES)})(?![a-z]))|"
    rf"(?P<size>(?:{'|'.join(sorted(SIZES, key=len, reverse=True))})(?![a-z]))|"
    rf"(?P<side>(?:{'|'.join(sorted(SIDES, key=len, reverse=True))})(?![a-z])(?! (?:heart|atri|ventric))))"
)
