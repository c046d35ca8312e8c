"""How a report that is given is understood, before anything is generated from it.

What is in the model's own words passes as it stands. What is not is put into them: one sentence for each thing that is
stated, a plain denial for what is denied; what cannot be is named. See docs/door.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from omnicxr.data.language import is_english
from omnicxr.data.parsing import Said, Sentence, parse
from omnicxr.data.rebuilding import Rebuilt, deny, normal, rebuild, size_is_told
from omnicxr.data.sentences import SentenceText, first_words, split_prompt
from omnicxr.data.vocabulary import (
    DENIED_SIDE,
    DENIED_SIZE,
    ITEM,
    MIXED,
    SEVERAL,
    Vocabulary,
    denies,
    measured,
    pairs_of,
    states_several,
    words_of,
)
from omnicxr.domain import Finding, LabelState
from omnicxr.domain.notes import Fit, PromptNote, Statement

PLAIN_DENIALS = True
"""Whether a denial that is not the model's own becomes a plain one ("No pleural effusion."); else it is removed."""
FEW, SOME = 0.25, 0.5
"""A sentence stays as it is, though it has words that the model does not know, if rebuilding it would lose others that
it knows, and no more than this share is unknown: `FEW`, or `SOME` where the model has learnt a wide vocabulary. Only up
to `FEW` does it count as understood."""
_EXAMPLE = '"small left pleural effusion"'


def understand(text: str, vocabulary: Vocabulary, *, fits: Callable[[str], bool]) -> PromptNote:
    """A prompt or report => what is asked for, denied, not understood and cut, and what the model is given.

    fits: whether the model takes a text whole. Deterministic; never raises, whatever the text; `understood_as` is empty
    only where the text is.
    """
    written, cut, headed = split_prompt(text)
    read = [_read(sentence, vocabulary) for sentence in written]
    asked = _distinct(s for r in read for s in r.asked)
    if any(s.finding not in _NO_DISEASE for s in asked):
        asked = tuple(s for s in asked if s.finding is not Finding.NO_FINDING)  # "otherwise normal"
    parts = _sentences(read, {s.finding for s in asked}, vocabulary)
    missing = [piece for r in read for piece in r.missing]
    unseen = dict.fromkeys(w for s in written for w in words_of(s.text) if not vocabulary.knows(w))
    note = {"asked": asked, "denied": _distinct(s for r in read for s in r.denied), "unseen_words": tuple(unseen)}
    if not any(r.usable for r in read) or not parts:
        reason = _why_not(text, written, missing)
        return PromptNote(
            text=text, understood_as=text, fit=Fit.NOT_USABLE, not_understood=tuple(missing), reason=reason, **note
        )
    changed = headed or bool(cut) or any(r.changed for r in read)
    whole = " ".join(dict.fromkeys(parts)) if changed else text
    if not fits(whole):
        whole, left = _fitting(parts, fits)
        cut = [*left, *cut]
    return PromptNote(
        text=text,
        understood_as=whole,
        fit=Fit.UNLIKE if missing else Fit.AS_KNOWN,
        not_understood=tuple(missing),
        cut=tuple(cut),
        reason="not all of it is understood" if missing else "",
        **note,
    )


@dataclass
class _Read:
    """What was made of one sentence."""

    text: list[str] = field(default_factory=list)
    deny: list[Finding] = field(default_factory=list)
    """What is to be denied plainly after the text."""
    normal: bool = False
    """Whether it says that there is nothing, in words that are not the model's."""
    changed: bool = False
    usable: bool = True
    asked: list[Statement] = field(default_factory=list)
    denied: list[Statement] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def _read(sentence: SentenceText, vocabulary: Vocabulary) -> _Read:
    """A sentence in the model's words: as it stands, mended in places, or rebuilt."""
    words = words_of(sentence.text)
    unknown = [w for w in words if not vocabulary.knows(w)]
    if unknown and not is_english(sentence.text):
        return _Read(changed=True, usable=False, missing=[sentence.text])
    parsed = parse(sentence.text)
    out = _Read()
    for said in parsed.said:
        (out.denied if said.state is LabelState.NEGATIVE else out.asked).append(_statement(said))
    if parsed.normal:
        out.asked.append(Statement(finding=Finding.NO_FINDING, state=LabelState.POSITIVE, phrase=parsed.normal))
    item = f"{sentence.item} " if sentence.item and vocabulary.knows(ITEM) else ""
    out.changed = bool(sentence.item) and not item
    if not unknown and _own_way(parsed, vocabulary):
        out.text = [item + sentence.text]
        out.usable = bool(parsed.said or parsed.normal or parsed.speaking())
        if parsed.left and not out.usable and not vocabulary.is_wide:
            return replace(out, text=[], changed=True, missing=[sentence.text])
        return out
    return _rewritten(out, parsed, vocabulary, item=item)


def _rewritten(out: _Read, parsed: Sentence, vocabulary: Vocabulary, *, item: str) -> _Read:
    stated = [s for s in parsed.said if s.state is not LabelState.NEGATIVE]
    denied = [s for s in parsed.said if s.state is LabelState.NEGATIVE]
    rebuilt = rebuild(stated, vocabulary)
    beside = parsed.speaking()
    odd = [i for i in beside if not vocabulary.knows(parsed.written_word(i))]
    if _better_left(parsed, rebuilt, vocabulary, unknown=len(odd) / max(1, len(beside))):
        out.text = [item + parsed.written]
        out.missing = replace(parsed, left=frozenset(odd)).pieces() if len(odd) > FEW * len(beside) else []
        return out
    out.changed = True
    out.text = rebuilt.sentences
    out.deny = list(dict.fromkeys(s.finding for s in denied))
    out.normal = bool(parsed.normal)
    out.usable = bool(out.text or out.deny or out.normal)
    left = parsed.left.union(*map(parsed.places_of, rebuilt.lost))
    out.missing = replace(parsed, left=left).pieces(whole=not out.usable)
    out.missing += [s.written for s in rebuilt.unnamed]
    out.missing += [s.modifiers.size_word or s.modifiers.measure for s in stated if not size_is_told(s, vocabulary)]
    return out


def _better_left(parsed: Sentence, rebuilt: Rebuilt, vocabulary: Vocabulary, *, unknown: float) -> bool:
    """Whether a sentence is best given as it stands, since more would be lost than gained: known words that say
    something beside the findings are many, few are unknown, and there is no unusual denial or unknown "not".

    unknown: share of the words beside the findings.
    """
    odd = {w for w in words_of(parsed.written) if not vocabulary.knows(w)}
    denied = any(s.state is LabelState.NEGATIVE and s.cue for s in parsed.said)
    if odd & _NEGATION or (rebuilt.sentences and denied):
        return False
    beside = bool(parsed.speaking())
    if not odd:
        return beside or bool(rebuilt.lost or rebuilt.unnamed)
    return beside and unknown <= (SOME if vocabulary.is_wide else FEW)


def _own_way(parsed: Sentence, vocabulary: Vocabulary) -> bool:
    """Whether a sentence of known words says things as the model's reports do."""
    denied = [s for s in parsed.said if s.state is LabelState.NEGATIVE]
    if denied and len(denied) < len(parsed.said) and not vocabulary.usual(MIXED):
        return False
    if parsed.normal and not vocabulary.is_normal(parsed.read):
        return False
    if states_several(parsed) and not vocabulary.usual(SEVERAL):
        return False
    for said in parsed.said:
        m, negative = said.modifiers, said.state is LabelState.NEGATIVE
        named = vocabulary.says(said.phrase, denied=negative)
        by_pairs = pairs_of(words_of(said.phrase)) if not (negative and said.cue) else ()
        if not named and not (by_pairs and all(map(vocabulary.knows, by_pairs))):
            return False
        if negative and not vocabulary.knows(denies(said.finding)):
            return False
        if negative and said.cue and (m.size or m.measure) and not vocabulary.usual(DENIED_SIZE):
            return False
        if negative and said.cue and (m.side or m.place) and not vocabulary.usual(DENIED_SIDE):
            return False
        if not negative and m.measure and not vocabulary.knows(measured(said.finding)):
            return False
    return True


def _distinct(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Each thing once, however often the text says it."""
    return tuple({replace(s, phrase=""): s for s in reversed(list(statements))}.values())[::-1]


def _statement(said: Said) -> Statement:
    m = said.modifiers
    return Statement(
        finding=said.finding,
        state=said.state,
        phrase=said.written,
        side=m.side,
        size=m.measure or m.size,
        place=m.place,
        device=said.concept.device,
    )


def _sentences(read: Sequence[_Read], asked: set[Finding], vocabulary: Vocabulary) -> list[str]:
    """What the model is given, a sentence each."""
    out: list[str] = []
    for r in read:
        out += r.text
        if r.deny and PLAIN_DENIALS:
            out += [s for s in deny(r.deny, asked, vocabulary) if s not in out]
        if r.normal and not asked - _NO_DISEASE and (sentence := normal(vocabulary)) not in out:
            out.append(sentence)
    if not out and any(r.deny or r.normal for r in read):
        out = [normal(vocabulary)]
    return [f"{s[:-1]}." if s.endswith(";") and i == len(out) - 1 else s for i, s in enumerate(out)]


def _fitting(parts: list[str], fits: Callable[[str], bool]) -> tuple[str, list[str]]:
    """As many sentences from the first as the model takes, and the rest; of a single long one, as many words."""
    parts = list(dict.fromkeys(parts))  # what is said twice is lost to nobody
    low, high = 0, len(parts)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(" ".join(parts[:middle])) else (low, middle - 1)
    if low:
        return " ".join(parts[:low]), parts[low:]
    beginnings = list(first_words(parts[0]))
    kept = beginnings[0]
    for beginning in beginnings[1:]:
        if not fits(beginning):
            break
        kept = beginning
    return kept, [parts[0][len(kept) :].strip(), *parts[1:]]


def _why_not(text: str, written: Sequence[SentenceText], missing: Sequence[str]) -> str:
    if not re.search(r"[^\W\d_]", text) or not written:
        return f"it has no words that could be read: write what is to be seen, such as {_EXAMPLE}"
    if not is_english(text):
        return "it is not English: write English"
    if any(parse(s.text).said or _SPEAKS.search(s.text) for s in written):
        named = ", ".join(f'"{p}"' for p in missing) or "what it says"
        return f"this model's training reports have no words for {named}"
    return f"none of its words speaks of a chest radiograph: write what is to be seen, such as {_EXAMPLE}"


_NO_DISEASE = {Finding.NO_FINDING, Finding.SUPPORT_DEVICES}
_NEGATION = {"not", "never", "cannot"}
_SPEAKS = re.compile(
    r"tubercul|pneumo|sternot|valve|granulom|surg|ards|copd|sarcoid|edema|effus|\bwires?\b|lung|heart|cardi|aort|pleur|rib\b|chest|thora|pulmon|emphys|fibros|scolio|hernia|hil[ua]|medias|inflat|spine|"
    r"diaphragm|trache|bron|calcif|tortu|hyper",
    re.IGNORECASE,
)
__all__ = ["PLAIN_DENIALS", "Vocabulary", "understand"]
