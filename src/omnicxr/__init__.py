"""OmniCXR: generate any missing part of a chest X-ray study from any part that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnicxr.pipeline import AnyToAnyPipeline

__version__ = "0.1.0"
__all__ = ["AnyToAnyPipeline"]


def __getattr__(name: str) -> Any:
    """`omnicxr.AnyToAnyPipeline` without loading torch on `import omnicxr`."""
    if name == "AnyToAnyPipeline":
        from omnicxr.pipeline import AnyToAnyPipeline

        return AnyToAnyPipeline
    raise AttributeError(name)
