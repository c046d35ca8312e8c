from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.manifest import write_manifest
from omnicxr.data.shards import write_rows
from omnicxr.domain import UserError
from omnicxr.downstream.leaks import check_prompts

Rows = list[dict[str, Any]]


@pytest.fixture
def real(prepared: Path) -> dict[str, PreparedDataset]:
    return {split: PreparedDataset(prepared, split) for split in ("train", "validate", "test")}


def generated_from(rows: Iterable[dict[str, Any]], out: Path, *, task: str, **settings: str) -> PreparedDataset:
    """A synthetic data set with these prompts."""
    made = [
        r | {"study_id": f"syn{i}", "subject_id": f"syn-{r['study_id']}", "split": "train"} for i, r in enumerate(rows)
    ]
    write_rows(made, {"dropped": [], "images_left_out": {}}, out / "train-000000.parquet")
    write_manifest(
        out,
        [out / "train-000000.parquet"],
        options={"image_size": 64},
        studies_seen=len(made),
        dropped={},
        images_left_out={},
        synthetic={"settings": {"task": task, **settings}},
    )
    return PreparedDataset(out, "train")


@pytest.mark.parametrize("task", ["report->frontal+lateral", "frontal->report", "frontal+report->lateral"])
def test_prompts_are_test_studies(real: dict[str, PreparedDataset], tmp_path: Path, task: str) -> None:
    """Of the same data set by its record; of another preparation by what they say."""
    test = real["test"].table.to_pylist()
    recorded = {"prompts": real["test"].manifest_hash, "split": "test"}
    with pytest.raises(UserError, match="was generated from the test studies"):
        check_prompts(generated_from(test[:1], tmp_path / "a", task=task, **recorded), real)
    mixed = generated_from([*real["train"].table.to_pylist(), *test], tmp_path / "b", task=task)
    with pytest.raises(UserError, match=r"of 78 studies of .* its test studies were their prompts"):
        check_prompts(mixed, real)


@pytest.mark.parametrize("task", ["report->frontal+lateral", "frontal->report"])
def test_prompts_are_other_studies(real: dict[str, PreparedDataset], tmp_path: Path, task: str) -> None:
    recorded = {"prompts": real["test"].manifest_hash, "split": "train"}
    check_prompts(generated_from(real["train"].table.to_pylist(), tmp_path / "a", task=task, **recorded), real)
    check_prompts(generated_from(real["validate"].table.to_pylist(), tmp_path / "b", task=task), real)


def test_nothing_given_is_no_prompt(real: dict[str, PreparedDataset], tmp_path: Path) -> None:
    check_prompts(generated_from(real["test"].table.to_pylist(), tmp_path, task="nothing->frontal+report"), real)
