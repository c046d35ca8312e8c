"""Shards with a fault put in on purpose; their hashes are noted anew, so that it is the fault that is found."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from omnicxr.data import checks
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import sha256
from omnicxr.data.images import encode_png
from omnicxr.data.manifest import Manifest
from omnicxr.domain import Modality, UserError

Rows = list[dict[str, Any]]
NAME = "test-00000.parquet"


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def rewrite(data: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(data / NAME)), data / NAME)
    note_hash(data, sha256(data / NAME))


def note_hash(data: Path, value: str) -> None:
    manifest = Manifest.read(data)
    replace(manifest, shards=manifest.shards | {NAME: value}).write(data)


def cell(column: str, value: Any) -> Callable[[pa.Table], pa.Table]:
    """Another value in the first row."""

    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        rows[0][column] = value(rows[0][column]) if callable(value) else value
        return pa.Table.from_pylist(rows, table.schema)

    return change


def picture(change: Callable[[bytes], bytes | None]) -> Callable[[pa.Table], pa.Table]:
    """Another file in the place of the first row's frontal view."""
    return cell("frontals", lambda shown: [{"bytes": change(shown[0]["bytes"]), "path": shown[0]["path"]}])


def typed(column: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda t: t.set_column(t.column_names.index(column), column, t.column(column).cast(kind))


def smaller(png: bytes) -> bytes:
    """A whole file of another size."""
    return encode_png(Image.new("L", (32, 32)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.slice(0, 0), "has no rows"),
        (lambda t: t.slice(0, 2), "has 2 studies in the split 'test', its manifest says 6"),
        (lambda t: t.drop_columns("report"), "has no column 'report'"),
        (typed("label_Edema", pa.string()), "has the type string in the column 'label_Edema'"),
        (typed("age", pa.int8()), "has the type int8 in the column 'age'"),
        (cell("study_id", None), "has a row without 'study_id'"),
        (cell("frontals", None), "has a row without 'frontals'"),
        (cell("split", "train"), "has a study of the split 'train'"),
        (cell("label_Edema", 9), "has 9 in the column 'label_Edema'"),
        (cell("frontals", []), "whose frontal picture and view do not go together"),
        (cell("frontal_views", [None]), "whose frontal picture has no view"),
        (cell("truth", '{"a'), "whose simulated truth is damaged"),
        (cell("truth", '{"measures": {"cardiothoracic_ratio": "x"}}'), "whose simulated truth is damaged"),
        (picture(lambda png: None), "is no PNG file"),
        (picture(lambda png: b"GIF89a"), "is no PNG file"),
        (picture(lambda png: png[:300]), "is damaged or incomplete"),
        (picture(lambda png: png[:300] + bytes([png[300] ^ 1]) + png[301:]), "is damaged or incomplete"),
        (picture(smaller), "has 32 x 32 pixels, not 64 x 64"),
    ],
)
def test_faults_inside_a_shard(data: Path, change: Callable[[pa.Table], pa.Table], said: str) -> None:
    rewrite(data, change)
    with pytest.raises(UserError, match=said):
        PreparedDataset(data, "test")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.3, 0.6, 0.9, 0.999])
def test_one_changed_byte(data: Path, share: float) -> None:
    content = bytearray((data / NAME).read_bytes())
    content[int(share * len(content))] ^= 1
    (data / NAME).write_bytes(content)
    with pytest.raises(UserError, match="its hash is not the one in the manifest"):
        PreparedDataset(data, "test")


def test_another_shard_and_none(data: Path) -> None:
    shutil.copy(data / "validate-00000.parquet", data / NAME)
    with pytest.raises(UserError, match="another data set's"):
        PreparedDataset(data, "test")
    (data / NAME).unlink()
    with pytest.raises(UserError, match=f"{NAME} is missing: run the `omnicxr prepare`"):
        PreparedDataset(data, "test")


def test_shards_without_a_hash_are_read(data: Path, prepared: Path) -> None:
    note_hash(data, "")
    assert PreparedDataset(data, "test").reports == PreparedDataset(prepared, "test").reports


def test_a_shard_is_checked_once_until_it_changes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(checks, "sha256", lambda path: hashed.append(path) or sha256(path))
    for _ in range(3):
        PreparedDataset(data, "test")
    assert hashed == [data / NAME]
    rewrite(data, cell("sex", "F"))
    PreparedDataset(data, "test")
    assert len(hashed) == 2


def test_a_picture_that_only_a_decoder_finds_damaged(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its check sums are those of its damaged bytes."""
    monkeypatch.setattr(checks, "_png_problem", lambda png, size: "")
    rewrite(data, picture(lambda png: png[:60]))
    dataset = PreparedDataset(data, "test")
    assert dataset.image(1, Modality.FRONTAL).shape == (64, 64)
    with pytest.raises(UserError, match="frontal: the picture is damaged"):
        dataset.image(0, Modality.FRONTAL)
    rewrite(data, picture(smaller))
    with pytest.raises(UserError, match="frontal: the picture has 32 x 32 pixels"):
        PreparedDataset(data, "test").images(Modality.FRONTAL)
