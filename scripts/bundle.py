"""Put a trained model into the package: `python scripts/bundle.py RUN/model` writes src/omnicxr/bundled in half
precision.

The judge comes along, so that `omnicxr evaluate` can be run on the bundled model. The model card is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from omnicxr.models.folder import BUNDLED, model_hash, model_provenance
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline


def main() -> None:
    """Read the folder named on the command line and write the bundled model."""
    folder = Path(sys.argv[1])
    trained = AnyToAnyPipeline.from_pretrained(folder)
    # put together again: sampled by the defaults of this version, not of the one that trained it
    pipe = AnyToAnyPipeline(**trained.components(), tokenizer=trained.tokenizer, image_size=trained.image_size)  # type: ignore[arg-type]
    pipe.save_pretrained(BUNDLED, half=True, provenance=model_provenance(folder))
    Judge.load(folder / "judge").save(BUNDLED / "judge", half=True)
    size = sum(p.stat().st_size for p in BUNDLED.rglob("*") if p.is_file()) / 1e6
    print(f"{BUNDLED.name}: {size:.1f} MB, hash {model_hash()}")


if __name__ == "__main__":
    main()
