"""What is given and what is to be generated: every use of the model is one `Task`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from omnicxr.domain.errors import UserError
from omnicxr.domain.modality import Modality

_NOTHING = "nothing"
_ARROW = "->"


def _canonical(modalities: Iterable[Modality | str]) -> tuple[Modality, ...]:
    wanted = {Modality.parse(m) for m in modalities}
    return tuple(m for m in Modality if m in wanted)


@dataclass(frozen=True)
class Task:
    """`given` may be empty ("from nothing"); `generate` may not; the two never overlap.

    Both are kept in the canonical order of `Modality`, so equal tasks compare and hash equal.
    Raises UserError for an overlap, an unknown modality or nothing to generate.
    """

    given: tuple[Modality, ...]
    generate: tuple[Modality, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", _canonical(self.given))
        object.__setattr__(self, "generate", _canonical(self.generate))
        if not self.generate:
            raise UserError("Nothing to generate: name at least one of " + ", ".join(Modality) + ".")
        if both := set(self.given) & set(self.generate):
            names = ", ".join(m for m in Modality if m in both)
            raise UserError(f"Both given and to be generated: {names}. Leave it out of one of the two.")

    def __str__(self) -> str:
        return ("+".join(self.given) or _NOTHING) + _ARROW + "+".join(self.generate)

    @classmethod
    def parse(cls, text: str) -> Task:
        """Read the text form, for instance `frontal+report->lateral` or `nothing->frontal`."""
        given, arrow, generate = (part.strip() for part in text.partition(_ARROW))
        if not arrow:
            raise UserError(f"'{text}' is not a task: write it like frontal+report->lateral.")
        return cls(
            () if given in ("", _NOTHING) else tuple(given.split("+")),  # type: ignore[arg-type]
            tuple(generate.split("+")) if generate else (),  # type: ignore[arg-type]
        )

    @classmethod
    def all(cls) -> tuple[Task, ...]:
        """The 12 tasks with something given, simplest first."""
        tasks = []
        for roles in product(("given", "generate", "absent"), repeat=len(Modality)):
            given = [m for m, role in zip(Modality, roles, strict=True) if role == "given"]
            generate = [m for m, role in zip(Modality, roles, strict=True) if role == "generate"]
            if given and generate:
                tasks.append(cls(tuple(given), tuple(generate)))
        return tuple(sorted(tasks, key=lambda t: (len(t.given) + len(t.generate), len(t.generate))))

    @classmethod
    def from_nothing(cls) -> Task:
        """Generate a whole study with nothing given."""
        return cls((), tuple(Modality))

    @classmethod
    def among(cls, modalities: Iterable[Modality]) -> tuple[Task, ...]:
        """Every task of studies that have only these modalities, the last of them from nothing."""
        there = _canonical(modalities)
        return (*(t for t in cls.all() if set(t.modalities) <= set(there)), cls((), there))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """All that it touches."""
        return _canonical((*self.given, *self.generate))
