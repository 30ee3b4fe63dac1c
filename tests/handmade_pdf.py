"""Small PDF files, written object by object.

Gets: a path and a line of text for each page. Gives: the path, with the file written. Touches:
that file. Never: a PDF library, so that the reader is not tested against itself.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path


def pdf(path: Path, pages: Sequence[str] = ("A fox in the garden.",), title: str = "") -> Path:
    """A PDF with one line of text a page, in any script (through a ToUnicode table)."""
    characters = sorted(set("".join(pages))) or [" "]
    code = {character: index + 1 for index, character in enumerate(characters)}
    pairs = "".join(
        f"<{index:04x}> <{character.encode('utf-16-be').hex()}>\n"
        for character, index in code.items()
    )
    to_unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap "
        "/CMapName /U def /CMapType 2 def "
        "1 begincodespacerange <0000> <ffff> endcodespacerange "
        f"{len(code)} beginbfchar\n{pairs}endbfchar endcmap end end"
    )
    kids = " ".join(f"{6 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type0 /BaseFont /Any /Encoding /Identity-H "
        "/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Any /DW 600 "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
        "/FontDescriptor << /Type /FontDescriptor /FontName /Any /Flags 4 "
        "/FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 "
        "/StemV 80 >> >>",
        _pdf_stream(to_unicode),
    ]
    for index, line in enumerate(pages):
        shown = "".join(f"{code[character]:04x}" for character in line)
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 2000 200] "
            f"/Resources << /Font << /F 3 0 R >> >> /Contents {7 + 2 * index} 0 R >>"
        )
        objects.append(_pdf_stream(f"BT /F 12 Tf 20 100 Td <{shown}> Tj ET" if shown else ""))
    objects.append(f"<< /Title <feff{title.encode('utf-16-be').hex()}> >>")
    path.write_bytes(_pdf_file(objects))
    return path


def locked_pdf(path: Path) -> Path:
    """A PDF that opens with a password only (one that nobody knows)."""
    data = pdf(path).read_bytes()
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'00' * 32}> /U <{'11' * 32}> >> "
    identity = f"/ID [<{'22' * 16}> <{'22' * 16}>] "
    path.write_bytes(data.replace(b"/Root 1 0 R ", b"/Root 1 0 R " + (lock + identity).encode()))
    return path


def _pdf_stream(content: str) -> str:
    return f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"


def _pdf_file(objects: Sequence[str]) -> bytes:
    file = io.BytesIO(b"%PDF-1.7\n")
    file.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(file.tell())
        file.write(f"{number} 0 obj\n{body}\nendobj\n".encode("ascii"))
    table = file.tell()
    rows = "".join(f"{place:010d} 00000 n \n" for place in places)
    file.write(
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}"
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>\n"
        f"startxref\n{table}\n%%EOF\n".encode("ascii")
    )
    return file.getvalue()
