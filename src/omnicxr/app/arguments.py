"""Arguments that many commands have, and comma-separated ones => values, or a UserError that names what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from omnicxr.domain import Finding, Modality, UserError, View

Out = Annotated[Path, arg(help="Folder to write to.")]
Seed = Annotated[int, arg(help="Equal seeds give equal results.")]
Device = Annotated[str, arg(help="cpu, cuda, cuda:1, ...")]
DryRun = Annotated[bool, arg(help="Say what would be done, and do nothing.")]


def names_in(text: str) -> list[str]:
    """From "a, b" the list of "a" and "b"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def chosen(kind: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names, if all are known."""
    wanted, allowed = list(names), list(known)
    if unknown := [name for name in wanted if name not in allowed]:
        raise UserError(f"Unknown {kind} '{unknown[0]}': choose from {', '.join(allowed)}.")
    return wanted


def modalities(text: str) -> tuple[Modality, ...]:
    """Parts of a study."""
    return tuple(map(Modality.parse, names_in(text)))


def findings(text: str) -> tuple[Finding, ...]:
    """In any letter case."""
    return tuple(map(Finding, chosen("finding", (n.title() for n in names_in(text)), Finding)))


def between(name: str, text: str) -> tuple[float, float] | None:
    """The two ends of "60-80" (of "60": both 60); None for no text."""
    if not text.strip():
        return None
    first, _, last = text.partition("-")
    try:
        return float(first), float(last or first)
    except ValueError:
        raise UserError(f"'{text}' does not say from where to where: write --{name} like 60-80 or 0.2-0.8.") from None


def views(text: str) -> tuple[View, ...]:
    """ViewPosition codes in any letter case."""
    return tuple(map(View, chosen("view", (n.upper() for n in names_in(text)), View)))


def pairs(name: str, text: str) -> dict[str, str]:
    """From "a=b, c=d" a dictionary."""
    split = [part.partition("=") for part in names_in(text)]
    if wrong := [key for key, equals, value in split if not (equals and value.strip())]:
        raise UserError(f"'{wrong[0]}' has no value: write --{name} like {wrong[0]}=VALUE.")
    return {key.strip(): value.strip() for key, _, value in split}
