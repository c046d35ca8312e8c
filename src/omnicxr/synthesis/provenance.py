"""Machine-readable provenance inside picture files: IPTC's digital source type as XMP, and all that the picture
depends on as JSON."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from omnicxr.data.images import encode_jpeg, encode_png

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for pictures that a trained model generated."""
KEY = "omnicxr"
"""PNG text chunk that holds the JSON."""
XMP_KEY = "XML:com.adobe.xmp"
"""PNG text chunk that holds XMP, by the XMP specification, part 3."""


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
    if provenance is None:
        return encode_png(picture)
    info = PngInfo()
    info.add_text("Software", provenance["generator"])
    info.add_itxt(XMP_KEY, xmp_packet(provenance))
    info.add_text(KEY, json.dumps(provenance, sort_keys=True))
    return encode_png(picture, info)


def provenance_of(png: bytes) -> dict[str, Any] | None:
    """Where the picture of a PNG file comes from; None if it does not say so."""
    with Image.open(io.BytesIO(png)) as picture:
        found = picture.info.get(KEY)
    return json.loads(found) if found else None


def jpeg_file(png: bytes, provenance: dict[str, Any]) -> bytes:
    """The same picture as a JPEG file, with the same provenance as XMP."""
    comment = json.dumps(provenance, sort_keys=True)
    with Image.open(io.BytesIO(png)) as picture:
        return encode_jpeg(picture, xmp=xmp_packet(provenance).encode(), comment=comment)
