"""What a sentence says => sentences in words that a model knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from omnicxr.data.modifiers import scale, size_of
from omnicxr.data.parsing import Said
from omnicxr.data.vocabulary import Vocabulary, denies, measured
from omnicxr.data.wording import (
    DENIED,
    DENIED_AS,
    DENIED_IN_A_SENTENCE,
    EXTENT,
    NORMAL,
    PLACES,
    SEVERITY,
    SIZES,
    Concept,
)
from omnicxr.domain import Finding, LabelState

_LUNGS = (Finding.LUNG_OPACITY, Finding.CONSOLIDATION, Finding.PNEUMONIA, Finding.ATELECTASIS, Finding.EDEMA,
          Finding.LUNG_LESION)  # fmt: skip
"""Lungs with one of these are not clear."""
_PLEURA = (Finding.PLEURAL_EFFUSION, Finding.PNEUMOTHORAX)
_BY_SIDE = (*_PLEURA, Finding.LUNG_LESION, Finding.CONSOLIDATION, Finding.LUNG_OPACITY, Finding.PNEUMONIA,
            Finding.SUPPORT_DEVICES)  # fmt: skip
"""What is on both sides is told once for each where the model knows no plural."""
_NO_SIDE = (Finding.CARDIOMEGALY, Finding.ENLARGED_CARDIOMEDIASTINUM, Finding.EDEMA)
_PLURAL = re.compile(r"[^i]s$")
_NO_SIZE = (Finding.ENLARGED_CARDIOMEDIASTINUM, Finding.SUPPORT_DEVICES)
_UNCOUNTED = (Finding.CARDIOMEGALY, Finding.ENLARGED_CARDIOMEDIASTINUM, Finding.EDEMA, Finding.ATELECTASIS,
              Finding.PLEURAL_OTHER)  # fmt: skip


@dataclass
class Rebuilt:
    """Sentences for one that was given."""

    sentences: list[str] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    """What they do not say though it was understood: spans of the sentence as it is read."""
    unnamed: list[Said] = field(default_factory=list)
    """What the model has no word for."""


def rebuild(stated: Sequence[Said], vocabulary: Vocabulary) -> Rebuilt:
    """A sentence for each thing that is stated; two sides of one finding share one."""
    out = Rebuilt()
    done: set[int] = set()
    for i, said in enumerate(stated):
        if i in done:
            continue
        if said.modifiers.side == "bilateral" and said.finding in _BY_SIDE and not _has_plural(said, vocabulary):
            for side in ("left", "right"):
                _add(out, replace(said, modifiers=replace(said.modifiers, side=side)), vocabulary)
            continue
        other = _other_side(stated, i)
        if other is not None and (noun := _noun(said.concept, said, vocabulary, plural=True)):
            done.add(other)
            halves = [_joined(_size(s, vocabulary, noun), s.modifiers.side) for s in (said, stated[other])]
            out.sentences.append(_sentence(f"{' and '.join(halves)} {noun}"))
        else:
            _add(out, said, vocabulary)
    return out


def _has_plural(said: Said, vocabulary: Vocabulary) -> bool:
    plurals = [_plural(noun) for noun in said.concept.nouns or (said.phrase,)]
    return any(map(vocabulary.knows_all, plurals))


def _other_side(stated: Sequence[Said], i: int) -> int | None:
    """The next one, if it is the same pleural finding on the other side."""
    if i + 1 >= len(stated) or stated[i].finding not in _PLEURA:
        return None
    a, b = stated[i], stated[i + 1]
    sides = {a.modifiers.side, b.modifiers.side}
    return i + 1 if a.finding is b.finding and a.phrase == b.phrase and sides == {"left", "right"} else None


def _add(out: Rebuilt, said: Said, vocabulary: Vocabulary) -> None:
    m = said.modifiers
    ribs = m.place.endswith("ribs")
    plural = m.side == "bilateral" or ribs or bool(_PLURAL.search(said.phrase))
    noun = _noun(said.concept, said, vocabulary, plural=plural and said.finding not in _UNCOUNTED)
    if not noun:
        out.unnamed.append(said)
        return
    side = "" if said.finding in _NO_SIDE else m.side
    size = _size(said, vocabulary, noun)
    if said.finding is Finding.ENLARGED_CARDIOMEDIASTINUM and m.size:
        size = f"{m.size}ly" if vocabulary.knows(f"{m.size}ly") else ""
    if ribs:
        fractures = "fractures" if vocabulary.knows("fractures") else "fracture"
        text = _joined(size, fractures, "of the", side, m.place)
    else:
        text = _placed(out, said, vocabulary, noun=noun, size=size, side=side)
    framed = said.concept.frame.format(text)
    text = framed if vocabulary.knows("place") else text
    if said.state is LabelState.UNCERTAIN and said.cue and vocabulary.knows("possible"):
        text = f"possible {text}"
    out.sentences.append(_sentence(text))


def _placed(out: Rebuilt, said: Said, vocabulary: Vocabulary, *, noun: str, size: str, side: str) -> str:
    """The noun with its size, side and place around it."""
    place, m = said.modifiers.place, said.modifiers
    if not place or said.finding in (*_NO_SIDE, Finding.SUPPORT_DEVICES):
        return _joined(size, side, noun)
    told = next(told for _, name, told in PLACES if name == place or told == (place,))
    for words in told:
        if " " in words and not vocabulary.knows_all(words):
            continue
        if " " not in words and not vocabulary.knows_all(f"{words} {noun}"):
            continue
        if said.finding in _PLEURA and " " in words:
            continue
        if " " in words and side != "bilateral":
            return _joined(size, noun, "in the", side, words)
        if words == "basilar" and side == "bilateral" and vocabulary.knows("bibasilar"):
            return _joined(size, "bibasilar", noun)
        return _joined(size, side, words, noun)
    if not (said.finding is Finding.PLEURAL_EFFUSION and place == "base"):
        out.lost.append(m.place_span)
    return _joined(size, side, noun)


def _noun(concept: Concept, said: Said, vocabulary: Vocabulary, *, plural: bool) -> str:
    """What the model calls it: the first that its reports state, else the first whose words they have; or empty."""
    forms = [form for noun in concept.nouns or (said.phrase,) for form in ([_plural(noun)] if plural else []) + [noun]]
    stated = (form for form in forms if vocabulary.says(form))
    return next(stated, None) or next((form for form in forms if vocabulary.knows_all(form)), "")


def _plural(noun: str) -> str:
    for end, plural in (
        ("thorax", "thoraces"),
        ("opacity", "opacities"),
        ("mass", "masses"),
        ("s", "s"),
        ("ia", "ias"),
    ):
        if noun.endswith(end):
            return noun[: len(noun) - len(end)] + plural
    return f"{noun}s"


def _size(said: Said, vocabulary: Vocabulary, noun: str) -> str:
    """A measure where the model's reports give it for the finding; else the word for the size, as it was written where
    the model knows it of the noun."""
    m = said.modifiers
    if said.finding in _NO_SIZE:
        return ""
    if m.measure and vocabulary.knows(measured(said.finding)):
        return m.measure
    size = m.size or (size_of(m.measure, said.finding) if m.measure else "")
    if not size:
        return ""
    step = SIZES[size]
    words = (m.size_word, scale(said.finding)[step], EXTENT[step], SEVERITY[step])
    if m.size_word and vocabulary.knows_all(f"{m.size_word} {noun}"):
        return m.size_word
    return next((word for word in words[1:] if vocabulary.knows(word)), "")


def size_is_told(said: Said, vocabulary: Vocabulary) -> bool:
    """Whether the size that is asked for can be said to the model at all."""
    m = said.modifiers
    return not (m.size or m.measure) or said.finding in _NO_SIZE or bool(_size(said, vocabulary, ""))


def deny(findings: Iterable[Finding], asked: Iterable[Finding], vocabulary: Vocabulary) -> list[str]:
    """The model's plain way of denying, in a sentence or more; nothing for what it never denies, nor for what is asked
    for elsewhere in the text."""
    asked = set(asked)
    nouns: list[str] = []
    sentences: list[str] = []
    for finding in findings:
        if not vocabulary.knows(denies(finding)):
            finding = DENIED_AS.get(finding, finding)
        if not vocabulary.knows(denies(finding)) or finding in asked:
            continue
        if sentence := next((s for s in DENIED_IN_A_SENTENCE.get(finding, ()) if vocabulary.knows_all(s)), ""):
            sentences += [sentence] if finding is not Finding.LUNG_OPACITY or not asked & {*_LUNGS} else []
        elif noun := next((n for n in DENIED.get(finding, ()) if vocabulary.knows_all(n)), ""):
            nouns.append(noun)
    nouns = list(dict.fromkeys(nouns))
    listed = " or ".join(filter(None, [", ".join(nouns[:-1]), *nouns[-1:]]))
    return ([f"No {listed}."] if listed else []) + sentences


def normal(vocabulary: Vocabulary) -> str:
    """How the model says that there is nothing to be seen."""
    return max(NORMAL, key=vocabulary.normal_as)


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))


def _sentence(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return f"{text[:1].upper()}{text[1:]}."
