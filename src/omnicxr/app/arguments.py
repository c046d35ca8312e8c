"""Arguments that many commands have, and how the command line writes values: one rule per type."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from tyro.conf import OmitArgPrefixes, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from omnicxr.domain import Finding, Modality, Task, UserError, View, settings
from omnicxr.domain.settings import Items, Verified

CPUS = os.cpu_count() or 1
T = TypeVar("T")


def check_device(name: str) -> None:
    """Raises UserError for a device that is not there."""
    if name != "cpu":  # else nothing needs torch, which takes seconds to import
        from omnicxr.models.devices import usable_device

        usable_device(name)


Flat = Annotated[T, OmitArgPrefixes, arg(name="")]
"""A config, each of whose fields is an option of the command."""
Out = Annotated[Path, arg(help="Folder to write to.")]
Model = Annotated[Path | None, arg(help="Model folder; default: the bundled model.")]
Seed = Annotated[settings.Seed, arg(help="Equal seeds give equal results.")]
Workers = Annotated[settings.Workers, arg(help="Processes that work at the same time.")]
Device = Annotated[str, arg(help="cpu, cuda, cuda:1, ..."), Verified(check_device)]
Devices = Annotated[
    tuple[str, ...],
    arg(name="device", help="cpu, cuda:0, or several: cuda:0,cuda:1."),
    Items(1, 1024),
    Verified(lambda names: list(map(check_device, names))),
]
DryRun = Annotated[bool, arg(help="Say what would be done, and do nothing.")]


def names(text: str) -> tuple[str, ...]:
    """From "a, b" the names "a" and "b"."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def chosen(kind: str, wanted: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The wanted names, if all are known; raises UserError with the known ones."""
    wanted, allowed = tuple(wanted), tuple(known)
    if unknown := [name for name in wanted if name not in allowed]:
        raise UserError(f"Unknown {kind} '{unknown[0]}': choose from {', '.join(allowed)}.")
    return wanted


def modalities(text: str) -> tuple[Modality, ...]:
    """Parts of a study, in any letter case."""
    return tuple(map(Modality.parse, names(text)))


def views(text: str) -> tuple[View, ...]:
    """ViewPosition codes, in any letter case."""
    return tuple(map(View, chosen("view", names(text.upper()), View)))


def findings(text: str) -> tuple[Finding, ...]:
    """CheXpert findings, in any letter case."""
    return tuple(map(Finding, chosen("finding", names(text.title()), Finding)))


def tasks(text: str) -> tuple[Task, ...]:
    """Tasks; "all" is empty, which a config takes for every task that there is."""
    return () if text == "all" else tuple(map(Task.parse, names(text)))


def between(text: str) -> tuple[float, float] | None:
    """The two ends of "60-80" (of "60": both 60); None for no text."""
    if not text.strip():
        return None
    first, _, last = text.partition("-")
    try:
        return float(first), float(last or first)
    except ValueError:
        raise UserError(f"'{text}' does not say from where to where: write it like 60-80.") from None


def pairs(text: str) -> dict[str, str]:
    """From "a=b, c=d" a dictionary."""
    split = [part.partition("=") for part in names(text)]
    if wrong := [key for key, equals, value in split if not (equals and value.strip())]:
        raise UserError(f"'{wrong[0]}' has no value: write {wrong[0]}=VALUE.")
    return {key.strip(): value.strip() for key, _, value in split}


def _range_text(ends: tuple[float, float] | None) -> str:
    return "-".join(f"{end:g}" for end in ends) if ends else ""


def _pairs_text(values: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())


RULES: dict[Any, tuple[str, Callable[[str], Any], Callable[[Any], str]]] = {
    Task: ("GIVEN->GENERATED", Task.parse, str),
    tuple[Task, ...]: ("TASK,TASK,...", tasks, lambda value: ",".join(map(str, value)) or "all"),
    tuple[Modality, ...]: ("PART,PART,...", modalities, ",".join),
    tuple[View, ...]: ("VIEW,VIEW,...", views, ",".join),
    tuple[Finding, ...]: ("FINDING,FINDING,...", findings, ",".join),
    tuple[str, ...]: ("NAME,NAME,...", names, ",".join),
    tuple[float, float] | None: ("FROM-TO", between, _range_text),
    dict[str, str]: ("NAME=VALUE,...", pairs, _pairs_text),
}
"""Type => how the help calls its text, how the text is read, and how a default is written."""
REGISTRY = ConstructorRegistry()


@REGISTRY.primitive_rule
def _rule_of(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Tyro's form of a row of RULES; None leaves all other types to tyro."""
    kind = tuple[get_args(info.type)] if get_origin(info.type) is tuple else info.type  # typing.Tuple is another
    if kind not in RULES:
        return None
    metavar, read, write = RULES[kind]
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda texts: read(texts[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [write(value)],
    )


def checked(command: Callable[..., T]) -> Callable[..., T]:
    """The command, which checks its options against their annotations before it does anything."""
    hints = get_type_hints(command, include_extras=True)

    @wraps(command)
    def run(*positional: Any, **named: Any) -> T:
        for name, value in signature(command).bind(*positional, **named).arguments.items():
            settings.check(f"--{_option(name, hints[name])}", value, hints[name])
        return command(*positional, **named)

    return run


def _option(name: str, hint: Any) -> str:
    """As the command line calls it."""
    beside = getattr(hint, "__metadata__", ())
    return next((m.name for m in beside if getattr(m, "name", None)), name).replace("_", "-")
