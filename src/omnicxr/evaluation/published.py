"""Published figures of report generation on Open-I (IU X-Ray), to stand beside our own: both views => the findings
section, 590 test studies of the split that R2Gen published, text cleaned by its protocol."""

from __future__ import annotations

import numpy as np

from omnicxr.data.dataset import PreparedDataset
from omnicxr.evaluation.measures.protocols import Protocol
from omnicxr.evaluation.text_results import PublishedReports, TextScores

STUDIES = 590
SOURCE = "openi"


def _row(system: str, year: int, citation: str, *figures: float | None) -> PublishedReports:
    """Figures: BLEU-1 to 4, METEOR, ROUGE-L, CIDEr."""
    return PublishedReports(system, year, citation, TextScores(*figures))  # type: ignore[arg-type]


IU_XRAY = (
    _row("R2Gen", 2020, "Chen et al., EMNLP 2020", 0.470, 0.304, 0.219, 0.165, 0.187, 0.371, None),
    _row("R2GenCMN", 2021, "Chen et al., ACL 2021", 0.475, 0.309, 0.222, 0.170, 0.191, 0.375, None),
    _row("PPKED", 2021, "Liu et al., CVPR 2021", 0.483, 0.315, 0.224, 0.168, 0.190, 0.376, 0.351),
    _row("METransformer", 2023, "Wang et al., CVPR 2023", 0.483, 0.322, 0.228, 0.172, 0.192, 0.380, None),
    _row("VLCI", 2023, "Chen et al., arXiv:2303.09117", 0.505, 0.334, 0.245, 0.189, 0.204, 0.397, 0.456),
    _row("B-LLM", 2024, "Liu et al., AAAI 2024", 0.499, 0.323, 0.238, 0.184, 0.208, 0.390, None),
    _row("DART", 2025, "Park et al., CVPR 2025", 0.486, 0.348, 0.265, 0.208, 0.205, 0.411, None),
    _row("SMAN", 2025, "its repository", 0.518, 0.355, 0.262, 0.200, 0.214, 0.422, 0.471),
    _row("SCOPE", 2025, "its repository", 0.483, 0.351, 0.288, 0.249, 0.223, 0.418, None),
)
"""As the tables of later papers quote them (the repositories of VLCI, SCOPE and SMAN), nothing measured anew."""


def published_reports(protocol: Protocol, data: PreparedDataset, rows: np.ndarray) -> list[PublishedReports]:
    """What stands beside an evaluation by that protocol on these studies: nothing unless all are of Open-I."""
    sources = set(data.table.column("source").take(rows).to_pylist())
    return list(IU_XRAY) if protocol == "iu-xray" and sources == {SOURCE} else []
