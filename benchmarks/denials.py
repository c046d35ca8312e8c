"""Is what a prompt denies drawn? `python benchmarks/denials.py [SAMPLES]`, by default 100 of each prompt.

The bundled model draws frontal views; the judge says in how many of them it sees each of the findings that are denied
somewhere (over 0.5). Prompts are given as users write them, and understood; the first one is normal, and the statement
alone stands beside each mixture.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from omnicxr.domain import Finding, Modality
from omnicxr.models.folder import BUNDLED
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline

PROMPTS = (
    "No acute cardiopulmonary process.",
    "There is no large left pleural effusion.",
    "No right pneumothorax.",
    "No consolidation in the left lower lobe.",
    "There is no evidence of pulmonary edema.",
    "Heart is not enlarged.",
    "Neither effusion nor pneumothorax.",
    "Large right effusion without pneumothorax.",
    "Large right pleural effusion.",
    "Mild cardiomegaly but no pulmonary edema",
    "Mild cardiomegaly.",
    "Small left pneumothorax, no effusion.",
    "Small left pneumothorax.",
)
SHOWN = (Finding.PLEURAL_EFFUSION, Finding.PNEUMOTHORAX, Finding.CONSOLIDATION, Finding.EDEMA, Finding.CARDIOMEGALY)


@torch.no_grad()
def main(samples: int) -> None:
    """Print a row for each prompt as it is finished."""
    pipe, judge = AnyToAnyPipeline.from_pretrained(), Judge.load(BUNDLED / "judge")
    columns = [list(Finding).index(f) for f in SHOWN]
    print(f"| prompt | understood as | {' | '.join(SHOWN)} |\n|{'---|' * (2 + len(SHOWN))}")
    for prompt in PROMPTS:
        output = pipe(report=prompt, generate="frontal", num=samples, seed=0)
        assert output.frontal and output.notes and output.notes[0].prompt
        x = pipe.network_input(Modality.FRONTAL, [np.asarray(picture) for picture in output.frontal])
        seen = (judge(Modality.FRONTAL, x)[0].sigmoid()[:, columns] > 0.5).sum(0).tolist()
        print(f"| {prompt} | {output.notes[0].prompt.understood_as} | {' | '.join(map(str, seen))} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100)
