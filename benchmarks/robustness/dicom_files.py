"""DICOM files made in code, with any value in any tag."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from benchmarks.robustness.cases import Folders
from benchmarks.robustness.films import Make, film

Change = Callable[[Dataset], object]
LONG_VRS = (b"OB", b"OW", b"SQ", b"UN", b"UT")


def dicom(values: np.ndarray, *, bits: int = 12) -> FileDataset:
    """A chest film of those pixels, with the tags that a modality writes."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    out = FileDataset("x.dcm", {}, file_meta=meta, preamble=bytes(128))
    out.SOPClassUID, out.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    out.Modality, out.BodyPartExamined, out.ViewPosition = "DX", "CHEST", "PA"
    out.PhotometricInterpretation, out.SamplesPerPixel = "MONOCHROME2", 1
    set_pixels(out, values, bits)
    out.WindowCenter, out.WindowWidth, out.RescaleSlope, out.RescaleIntercept = 2 ** (bits - 1), 2**bits, 1, 0
    return out


def set_pixels(data: Dataset, values: np.ndarray, bits: int) -> None:
    data.Rows, data.Columns = values.shape[:2]
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * values.itemsize, bits, bits - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data["PixelData"] = RawDataElement(Tag(0x7FE00010), "OW", values.nbytes, values.tobytes(), 0, False, True)


def raw(data: Dataset, keyword: str, value: bytes) -> None:
    """Put bytes into a tag as they are, fitting or not."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    vr = dictionary_VR(tag).split(" ")[0]
    data[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


def with_tags(change: Change, *, bits: int = 12, name: str = "x.dcm") -> Make:
    """How to make the film's DICOM file with a change."""

    def make(folders: Folders) -> Path:
        data = dicom(film(folders, bits=bits), bits=bits)
        change(data)
        return written(data, name)

    return make


def written(data: FileDataset, name: str = "x.dcm") -> Path:
    data.save_as(name, enforce_file_format=False)
    return Path(name)


def with_value(keyword: str, value: bytes) -> Make:
    """The film's file with any bytes as the value of a tag, fitting or not."""

    def make(folders: Folders) -> Path:
        data = written(dicom(film(folders, bits=12))).read_bytes()
        tag = Tag(tag_for_keyword(keyword) or 0)
        elements = {found: whole for found, whole in top_level(data) if found != (tag.group, tag.element)}
        vr = dictionary_VR(tag).split(" ")[0].encode()
        head = struct.pack("<HH", tag.group, tag.element) + vr + struct.pack("<H", len(value))
        elements[tag.group, tag.element] = head + value
        return dump(data[:132] + b"".join(elements[t] for t in sorted(elements)))

    return make


def top_level(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """(group, element) and all bytes of each element of an explicit little-endian file."""
    at = 132
    while at < len(data):
        group, element = struct.unpack_from("<HH", data, at)
        long = data[at + 4 : at + 6] in LONG_VRS
        length = struct.unpack_from("<I", data, at + 8)[0] if long else struct.unpack_from("<H", data, at + 6)[0]
        end = at + (12 if long else 8) + length
        yield (group, element), data[at:end]
        at = end


def values(**tags: object) -> Change:
    return lambda data: [setattr(data, name, value) for name, value in tags.items()]


def empty(*keywords: str) -> Change:
    return lambda data: [raw(data, keyword, b"") for keyword in keywords]


def without(*keywords: str) -> Change:
    return lambda data: [data.pop(Tag(tag_for_keyword(k) or 0), None) for k in keywords]


def stored(data: Dataset) -> np.ndarray:
    """The pixels as they were put in."""
    kind = np.uint16 if data.BitsAllocated == 16 else np.uint8
    return np.frombuffer(data.get_item("PixelData").value, kind).reshape(data.Rows, data.Columns)  # pyright: ignore


def raw_pixels(data: Dataset, value: bytes) -> None:
    data["PixelData"] = RawDataElement(Tag(0x7FE00010), "OW", len(value), value, 0, False, True)


def dump(data: bytes) -> Path:
    Path("x.dcm").write_bytes(data)
    return Path("x.dcm")


def in_syntax(syntax: UID) -> Make:
    def make(folders: Folders) -> Path:
        data = dicom(film(folders, bits=12))
        whole = Dataset()
        for element in data:
            if element.keyword != "PixelData":
                whole.add(element)
        big = syntax == ExplicitVRBigEndian
        whole.add_new(0x7FE00010, "OW", stored(data).astype(">u2" if big else "<u2").tobytes())
        whole.file_meta, whole.preamble = data.file_meta, bytes(128)
        whole.file_meta.TransferSyntaxUID = syntax
        whole.save_as("x.dcm", little_endian=not big, implicit_vr=syntax == ImplicitVRLittleEndian)
        return Path("x.dcm")

    return make


def rle(folders: Folders) -> Path:
    data = dicom(film(folders, bits=12))
    written(data)
    whole = dcmread("x.dcm")
    whole.compress(RLELossless)
    return written(whole)


def other_vr(folders: Folders, vr: str) -> Path:
    """Another type of value than the tag has, two letters in the file."""
    data = written(dicom(film(folders, bits=12))).read_bytes()
    return dump(data.replace(b"\x28\x00\x53\x10DS", b"\x28\x00\x53\x10" + vr.encode()))
