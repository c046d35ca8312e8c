"""`omnicxr reader-study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from omnicxr.app.arguments import Out, Seed
from omnicxr.app.console import console
from omnicxr.domain import Modality, UserError
from omnicxr.domain.settings import Between


def reader_study(
    *,
    out: Out,
    real: Annotated[Path | None, arg(help="Prepared data set with real studies.")] = None,
    generated: Annotated[Path | None, arg(help="Folder that `omnicxr synthesize` wrote.")] = None,
    results: Annotated[tuple[Path, ...], arg(help="Files with the readers' answers: analyse them instead.")] = (),
    parts: Annotated[tuple[Modality, ...], arg(help="What is shown of a study: frontal, lateral, report.")] = (
        Modality.FRONTAL,
        Modality.LATERAL,
    ),
    num: Annotated[int, Between(1, 10_000), arg(help="Real studies, and as many generated ones.")] = 25,
    split: Literal["train", "validate", "test"] = "test",
    seed: Seed = 0,
) -> None:
    """Make a page on which readers tell real from generated studies (a visual Turing test), or, with --results, analyse
    their answers."""
    from omnicxr.app.reader_study import ReaderStudyConfig, make_reader_study, read_results

    if results:
        console.print(f"Open {read_results(out, results)}")
        return
    if real is None or generated is None:
        raise UserError(
            "A reader study needs real and generated studies: give --real and --generated, or answers with --results."
        )
    config = ReaderStudyConfig(real=real, generated=generated, split=split, parts=parts, num=num, seed=seed)
    console.print(f"Give {make_reader_study(config, out)} to the readers; keep {out / 'key.csv'} to yourself.")
