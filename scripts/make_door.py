"""Work out the door of a trained model from the data that it was trained on, and write it into the model folder.

    python scripts/make_door.py MODEL PREPARED

Training does this at its end; this is for models of earlier versions.
"""

from __future__ import annotations

import sys
from pathlib import Path

from omnicxr.data.dataset import PreparedDataset
from omnicxr.models.folder import BUNDLED
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.door import make_door


def main(model: str, prepared: str) -> None:
    """Read, work out, write; print the limits."""
    folder = BUNDLED if model == "bundled" else Path(model)
    pipe = AnyToAnyPipeline.from_pretrained(folder)
    door = make_door(pipe, PreparedDataset(prepared, "train"), PreparedDataset(prepared, "validate"))
    door.save(folder)
    print({m: dict(view.limits) for m, view in door.views.items()}, dict(door.agreement), len(door.vocabulary.words))


if __name__ == "__main__":
    main(*sys.argv[1:3])
