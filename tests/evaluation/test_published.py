from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from omnicxr.data.dataset import PreparedDataset
from omnicxr.evaluation.published import IU_XRAY, published_reports


def test_beside_open_i_by_its_protocol_alone(prepared: Path) -> None:
    data = PreparedDataset(prepared, "test")
    rows = np.arange(4)
    assert published_reports("iu-xray", data, rows) == []
    sources = pa.array(["openi"] * 4 + ["nih"] * (len(data) - 4))
    data.table = data.table.set_column(data.table.schema.get_field_index("source"), "source", sources)
    assert published_reports("iu-xray", data, rows) == list(IU_XRAY)
    assert published_reports("sacrebleu", data, rows) == []
    assert published_reports("iu-xray", data, np.arange(5)) == []


@pytest.mark.parametrize("row", IU_XRAY, ids=lambda row: row.system)
def test_figures_are_possible(row) -> None:
    """Longer runs of words are rarer, and each figure is a share."""
    bleu = [getattr(row.text, f"bleu{n}") for n in (1, 2, 3, 4)]
    assert bleu == sorted(bleu, reverse=True)
    assert all(0.05 < v < 0.6 for v in (*bleu, row.text.meteor, row.text.rouge_l))
    assert row.text.meteor < row.text.rouge_l < row.text.bleu1
    assert row.citation
