"""Machine-readable provenance inside picture files: IPTC's digital source type as XMP, and all that made the picture as
JSON."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for pictures that a trained model made."""
KEY = "omnicxr"
"""PNG text chunk that holds the JSON."""
XMP_KEY = "XML:com.adobe.xmp"
"""PNG text chunk that holds XMP, by the XMP specification, part 3."""
JPEG_QUALITY = 95


def xmp_packet(provenance: dict[str, Any]) -> str:
    """XMP with the tool, the digital source type (IPTC extension schema) and the JSON as description."""
    description = escape(json.dumps(provenance, sort_keys=True))
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f" xmp:CreatorTool={quoteattr(provenance['generator'])}"
        f' Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"><dc:description><rdf:Alt><rdf:li'
        f' xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF>'
        '</x:xmpmeta><?xpacket end="r"?>'
    )


def png_file(picture: Image.Image, provenance: dict[str, Any] | None) -> bytes:
    """A PNG file; None for a picture that was given and not generated, which says nothing."""
    info = PngInfo()
    if provenance is not None:
        info.add_text("Software", provenance["generator"])
        info.add_itxt(XMP_KEY, xmp_packet(provenance))
        info.add_text(KEY, json.dumps(provenance, sort_keys=True))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def provenance_of(png: bytes) -> dict[str, Any] | None:
    """What made the picture of a PNG file; None if it does not say so."""
    with Image.open(io.BytesIO(png)) as picture:
        found = picture.info.get(KEY)
    return json.loads(found) if found else None


def jpeg_file(png: bytes, provenance: dict[str, Any]) -> bytes:
    """The same picture as a JPEG file, with the same provenance as XMP."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.save(
            buffer,
            format="JPEG",
            quality=JPEG_QUALITY,
            xmp=xmp_packet(provenance).encode(),
            comment=json.dumps(provenance, sort_keys=True),
        )
    return buffer.getvalue()
