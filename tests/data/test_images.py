from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from omnicxr.data import images
from omnicxr.data.images import load_image, read_image
from omnicxr.domain import UserError

RAMP = np.linspace(0, 255, 64 * 48).reshape(48, 64)


def write_dicom(path: Path, values: np.ndarray | None, *, photometric: str = "MONOCHROME2", bits: int = 12) -> Path:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, meta.MediaStorageSOPInstanceUID
    if values is not None:
        dataset.Rows, dataset.Columns = values.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, bits, bits - 1, 0
        dataset.PixelData = values.astype(np.uint16).tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


def expected(size: int) -> np.ndarray:
    padded = np.zeros((64, 64), np.uint8)
    padded[8:56] = RAMP.round()
    return np.asarray(Image.fromarray(padded).resize((size, size), Image.Resampling.LANCZOS)).astype(int)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_8_bit(tmp_path: Path, name: str) -> None:
    Image.fromarray(RAMP.round().astype(np.uint8)).save(tmp_path / name)
    assert (np.asarray(load_image(tmp_path / name, 32)) == expected(32)).all()


def test_16_bit_png_and_jpeg(tmp_path: Path) -> None:
    Image.fromarray((RAMP * 200).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(RAMP.round().astype(np.uint8)).save(tmp_path / "a.jpg", quality=98)
    for name in ("deep.png", "a.jpg"):
        assert np.abs(np.asarray(load_image(tmp_path / name, 32)).astype(int) - expected(32)).max() <= 3


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_dicom(tmp_path: Path, photometric: str, bits: int) -> None:
    values = RAMP / 255 * (2**bits - 1)
    stored = values if photometric == "MONOCHROME2" else 2**bits - 1 - values
    path = write_dicom(tmp_path / "x.dcm", stored.round(), photometric=photometric, bits=bits)
    assert np.abs(np.asarray(load_image(path, 32)).astype(int) - expected(32)).max() <= 2


def colour(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)


def truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:3000])


def huge(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path, format="PNG")


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("missing.png", lambda p: None, "No such image"),
        ("text.png", lambda p: p.write_text("hello"), "not an image"),
        ("empty.png", lambda p: p.write_bytes(b""), "not an image"),
        ("cut.jpg", truncated, "damaged"),
        ("colour.png", colour, "colour"),
        ("huge.png", huge, "20000 x 20000"),
        ("no-pixels.dcm", lambda p: write_dicom(p, None), "without pixels"),
        ("fake.dcm", lambda p: p.write_bytes(b"x" * 500), "not a DICOM"),
        ("speck.png", lambda p: Image.new("L", (3, 3)).save(p), "3 x 3"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, name: str, make, said: str) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(UserError, match=said) as error:
        load_image(path, 64)
    assert name in str(error.value)


def test_own_limit_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="20 x 20"):
        load_image(tmp_path / "a.png", 64)


def write_compressed(path: Path, values: np.ndarray, syntax: str) -> Path:
    """Write 16-bit values, then change the transfer syntax with GDCM's command-line twin, its Python binding."""
    import gdcm

    write_dicom(path, values)
    if syntax == "RLELossless":
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(path)
        return path
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"])
def test_compressed_dicom_gives_the_same_pixels(tmp_path: Path, syntax: str) -> None:
    values = (RAMP * 16).astype(np.uint16)
    plain = load_image(write_dicom(tmp_path / "plain.dcm", values), 32)
    packed = write_compressed(tmp_path / "packed.dcm", values, syntax)
    assert pydicom.dcmread(packed).file_meta.TransferSyntaxUID.is_compressed
    assert (np.asarray(load_image(packed, 32)) == np.asarray(plain)).all()


def test_baseline_jpeg_dicom(tmp_path: Path) -> None:
    import io

    from pydicom.encaps import encapsulate

    path = write_dicom(tmp_path / "a.dcm", RAMP.astype(np.uint16), bits=8)
    dataset, buffer = pydicom.dcmread(path), io.BytesIO()
    Image.fromarray(RAMP.round().astype(np.uint8)).save(buffer, "JPEG", quality=98)
    dataset.BitsAllocated = 8
    dataset.PixelData = encapsulate([buffer.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    dataset.save_as(path)
    assert np.abs(np.asarray(load_image(path, 32)).astype(int) - expected(32)).max() <= 4


def test_window_of_the_header_is_applied(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", (RAMP * 16).astype(np.uint16))
    dataset = pydicom.dcmread(path)
    dataset.WindowCenter, dataset.WindowWidth = 512, 256
    dataset.save_as(path)
    picture = np.asarray(load_image(path, 64))[8:56]
    low, high = RAMP * 16 < 512 - 128, RAMP * 16 > 512 + 128
    assert picture[low].max() < picture[~low & ~high].max() <= picture[high].max()
    assert (picture[high] == 255).mean() > 0.9


def test_view_position_is_read_and_nothing_else(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", (RAMP * 16).astype(np.uint16))
    dataset = pydicom.dcmread(path)
    dataset.ViewPosition, dataset.PatientName = "LL", "Doe^Jane"
    dataset.save_as(path)
    picture, view = read_image(path, 64)
    assert view == "LL"
    assert "Doe" not in str(picture.info)
