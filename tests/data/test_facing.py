"""Which way laterals face: on simulated ones, which all face left, and their mirror images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.duplicates import picture_hash
from omnicxr.data.facing import SURE, facing, facing_score, mirrored
from omnicxr.data.files import sha256
from omnicxr.data.images import load_image
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.sources import open_source
from omnicxr.domain import IMAGE_MODALITIES, Facing, Modality, UserError

COLUMNS = {"patient": "pid", "frontal": "front", "lateral": "side", "split": "fold"}


@pytest.fixture(scope="module")
def studies(simulated: Path) -> list[list[Image.Image]]:
    """Frontal and lateral of 16 studies."""
    found = list(open_source("mimic-cxr-jpg", str(simulated)).studies())[:16]
    by_view = [{ref.view.modality: ref.path for ref in study.images if ref.view} for study in found]
    return [[load_image(paths[m], 64) for m in IMAGE_MODALITIES] for paths in by_view]


def test_simulated_laterals_face_left_and_their_mirror_images_right(studies) -> None:
    found = [(facing(lateral), facing(mirrored(lateral))) for _, lateral in studies]
    assert found.count(("left", "right")) >= 12
    assert set(found) <= {("left", "right"), (None, None)}


@pytest.mark.parametrize("size", [48, 64, 96, 256])
def test_mirroring_turns_the_sign_and_nothing_else(size: int) -> None:
    """On anything, not laterals alone; 48 divides 48 and 96: there not even a grey level differs."""
    rng = np.random.default_rng(size)
    blocks = rng.integers(0, 256, (8, 8)).astype(np.uint8)
    grey = Image.fromarray(blocks).resize((size, size), Image.Resampling.BICUBIC)
    score = facing_score(grey)
    assert abs(score) > 0.01
    assert facing_score(mirrored(grey)) == pytest.approx(-score, abs=1e-3 if size % 48 == 0 else 0.3)


def test_what_is_symmetric_faces_neither_way(studies) -> None:
    """Nor does a picture of nothing; what is near the middle is not said."""
    lateral = np.asarray(studies[0][1])
    symmetric = np.concatenate([lateral[:, :32], lateral[:, :32][:, ::-1]], 1)
    for pixels in (symmetric, np.zeros((64, 64), np.uint8)):
        assert facing_score(Image.fromarray(pixels)) == pytest.approx(0, abs=0.3)
        assert facing(Image.fromarray(pixels)) is None
    assert SURE > 0


def written(root: Path, pictures: Sequence[Sequence[Image.Image]]) -> Path:
    lines = ["pid,front,side,fold"]
    for i, (frontal, lateral) in enumerate(pictures):
        frontal.save(root / f"{i}f.png")
        lateral.save(root / f"{i}l.png")
        lines.append(f"p{i},{i}f.png,{i}l.png,train")
    (root / "t.csv").write_text("\n".join(lines))
    return root / "t.csv"


def kept(out: Path, modality: Modality) -> np.ndarray:
    data = PreparedDataset(out, "train")
    return data.images(modality, data.places(modality))


@pytest.mark.parametrize(("face", "turned"), [("left", 1), ("right", 3), (None, 0)])
def test_prepare_mirrors_laterals_that_face_the_other_way(
    studies, tmp_path: Path, face: Facing | None, turned: int
) -> None:
    """Of four studies one is mirrored, in both views: its lateral is turned back, its frontal never is."""
    sure = [pair for pair in studies if facing(pair[1])][:4]
    given = [*sure[:3], [mirrored(picture) for picture in sure[3]]]
    table = written(tmp_path, given)
    config = PrepareConfig(kind="table", image_size=64, columns=COLUMNS, face=face, shard_size=2)
    manifest = prepare(config, table, tmp_path / "out")
    counted = {k: n for k, n in manifest.noticed.items() if k.startswith("lateral pictures")}
    mirrored_too = {f"lateral pictures mirrored to face {face}": turned} if face else {}
    facing_each = {"lateral pictures that face left": 3, "lateral pictures that face right": 1}
    assert counted == facing_each | mirrored_too
    one_way = [np.asarray(pair[1]) for pair in (sure if face else given)]
    expected = [pixels[:, ::-1] for pixels in one_way] if face == "right" else one_way
    assert np.array_equal(kept(tmp_path / "out", Modality.LATERAL), expected)
    assert np.array_equal(kept(tmp_path / "out", Modality.FRONTAL), [np.asarray(pair[0]) for pair in given])
    hashes = PreparedDataset(tmp_path / "out", "train").table.column("lateral_hashes").to_pylist()
    assert hashes == [[picture_hash(Image.fromarray(pixels))] for pixels in expected]


@pytest.mark.slow
def test_processes_change_nothing(studies, tmp_path: Path) -> None:
    table = written(tmp_path, [studies[0], [mirrored(picture) for picture in studies[1]]])
    config = PrepareConfig(kind="table", image_size=64, columns=COLUMNS, face="left", shard_size=1)
    for workers in (1, 2):
        prepare(config, table, tmp_path / f"{workers}", workers=workers)
    assert sha256(tmp_path / "1" / "manifest.json") == sha256(tmp_path / "2" / "manifest.json")


def test_another_way_in_the_same_folder_is_refused(studies, tmp_path: Path) -> None:
    table = written(tmp_path, studies[:2])
    prepare(PrepareConfig(kind="table", image_size=64, columns=COLUMNS), table, tmp_path / "out")
    with pytest.raises(UserError, match="another face"):
        config = PrepareConfig(kind="table", image_size=64, columns=COLUMNS, face="left")
        prepare(config, table, tmp_path / "out")
