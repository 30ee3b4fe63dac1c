r"""Texts: plain, Markdown, HTML and PDF become passages with their places.

Gets: a file's bytes; its name is not looked at, since an asset is its bytes. Gives: passages, each
with its span in code points of the extracted text; title and length. Touches: pypdfium2.
Never: a store, a path, the network (nothing that a page refers to is fetched).

The extracted text, which spans count in: of plain text and Markdown the text itself with ``\\n``
line ends and no byte order mark; of HTML the title and then the blocks, blank lines between; of a
PDF its pages with a form feed between.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, BinaryIO

from retrieval.encodings import ENCODINGS_VERSION, decode_text
from retrieval.errors import BadInputError
from retrieval.passages import PASSAGES_VERSION, passages, room_of
from retrieval.protocols import Limits
from retrieval.schema import Description, Draft, FieldValue, SkipReason, Span, Wants

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_EXTRACT_VERSION = 1  # raise it when the extracted text changes
_LONGEST_TITLE = 300

_PAGE_BREAK = "\f"
_PDFIUM = threading.Lock()  # PDFium is one global state
_PDF_HYPHEN = re.compile("[\x02\ufffe]\n?")  # how PDFium tells a hyphen at the end of a line

_MARKED_HTML = re.compile(
    # Possessive and atomic: else n comments would be cut up in 2^n ways before giving up.
    r"(?is)(?>\s|<!--.*?-->|<\?xml[^>]*>)*+<(?:!doctype\s+html|html|head|body)\b"
)
_OPENING_TAG = re.compile(r"(?i)\s*<(?:[a-z][a-z0-9]*)(?:\s[^<>]*)?>")
_CHARSET = re.compile(rb"""(?i)<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-z0-9_:.-]+)""")
_UNSEEN = ("script", "style", "noscript", "template", "svg")
_BLOCKS = frozenset(
    """address article aside blockquote body caption dd details div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table title tr ul
    """.split()  # noqa: SIM905 - a column of sixty strings reads worse
)
# Marks for breaks until white space is collapsed; taken out of the page before.
_BLOCK_BREAK, _LINE_BREAK = "\x00", "\x01"
_UNPRINTED = re.compile(f"[{_BLOCK_BREAK}{_LINE_BREAK}]")

_FRONT_MATTER_TITLE = re.compile(r"\A---\n(?:.*\n)*?title:[ \t]*(.+)\n(?:.*\n)*?(?:---|\.\.\.)\n")
_HEADING = re.compile(r"(?m)^#{1,6}[ \t]+(.+)$")


@dataclass(frozen=True, slots=True)
class _Extract:
    """The text of a file and what it says about itself."""

    text: str
    format: str
    title: str = ""
    pages: int | None = None


class TextReader:
    """Turns a text into documents of kind ``passage``. A `ModalityReader`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._latest: tuple[bytes, _Extract] | None = None

    @property
    def recipe(self) -> Mapping[str, str | int | float]:
        """Versions of the decoding, the extraction and the cutting."""
        return {
            "reader": "text",
            "encodings": ENCODINGS_VERSION,
            "extract": _EXTRACT_VERSION,
            "passages": PASSAGES_VERSION,
        }

    def describe(self, file: BinaryIO) -> Description:
        """Fields ``format`` and ``characters``; ``title`` and ``pages`` where there are such."""
        extract = self._extract(file)
        fields: dict[str, FieldValue] = {
            "format": extract.format,
            "characters": len(extract.text),
        }
        if title := " ".join(extract.title.split())[:_LONGEST_TITLE]:
            fields["title"] = title
        if extract.pages is not None:
            fields["pages"] = extract.pages
        return Description(fields)

    def documents(self, file: BinaryIO, wants: Wants) -> Iterator[Draft]:
        """The passages in order, each of as many tokens as the encoder reads, by estimate."""
        text = self._extract(file).text
        if not any(character.isprintable() and not character.isspace() for character in text):
            raise BadInputError(SkipReason.NO_CONTENT, "holds no text")
        for start, end in passages(text, room_of(wants.text_tokens)):
            passage = text[start:end]
            yield Draft("passage", (passage,), Span(float(start), float(end)), passage)

    def query_input(self, data: bytes, wants: Wants) -> str:  # noqa: ARG002
        """The text of a query, whole: the encoder cuts what it can't read."""
        return self._extract(io.BytesIO(data)).text.strip()

    def _extract(self, file: BinaryIO) -> _Extract:
        """The file's text; `describe` and `documents` of the same bytes read them once."""
        # Not file.read(limit): it would take the whole limit's memory for a file of any size.
        if file.seek(0, io.SEEK_END) > self._limits.bytes:
            message = f"has more bytes than the limit of {self._limits.bytes:,}"
            raise BadInputError(SkipReason.TOO_LARGE, message)
        file.seek(0)
        data = file.read()
        key = hashlib.blake2b(data).digest()
        if self._latest is None or self._latest[0] != key:
            self._latest = key, _extracted(data)
        return self._latest[1]


def _extracted(data: bytes) -> _Extract:
    if not data:
        raise BadInputError(SkipReason.EMPTY, "is empty")
    if b"%PDF-" in data[:1024]:
        return _of_pdf(data)
    declared = _CHARSET.search(data[:4096])
    try:
        text = decode_text(data, declared[1].decode("ascii") if declared else None)
    except BadInputError as error:
        raise _told_apart(data, error) from error
    return _of_html(text) if _is_html(text) else _of_plain(text)


def _told_apart(data: bytes, error: BadInputError) -> BadInputError:
    """The error with the name of what the file is instead, where its first bytes tell."""
    from retrieval.media import kind_of

    kind = kind_of(data[:4096])
    message = f"is {kind}, not text" if kind not in (None, "text") else str(error)
    return BadInputError(error.reason, message)


def _of_plain(text: str) -> _Extract:
    title = _FRONT_MATTER_TITLE.match(text[:4096]) or _HEADING.search(text)
    return _Extract(text, "text", title[1].strip("\"'# \t") if title else "")


def _is_html(text: str) -> bool:
    """Whether a text is a page. Markdown may begin with a tag too, but doesn't end with one."""
    if _MARKED_HTML.match(text):
        return True
    return bool(_OPENING_TAG.match(text)) and text.rstrip().endswith(">")


def _of_html(page: str) -> _Extract:
    parser = _PageText()
    parser.feed(_UNPRINTED.sub(" ", page))
    parser.close()
    title = " ".join("".join(parser.title).split())
    body = re.sub(r"\s+", " ", "".join(parser.body))
    body = re.sub(f" ?{_LINE_BREAK} ?", "\n", body)
    body = re.sub(rf"\s*{_BLOCK_BREAK}[\s{_BLOCK_BREAK}]*", "\n\n", body).strip()
    repeats = body == title or body.startswith(f"{title}\n")
    return _Extract(body if repeats else f"{title}\n\n{body}".strip(), "html", title)


class _PageText(HTMLParser):
    """Collects what a reader of the page would see, with marks where blocks and lines end.

    The standard library's parser, since it streams: a tree of 100,000 siblings is slow to edit.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.body: list[str] = []
        self._inside: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _UNSEEN or tag in ("title", "pre"):
            self._inside[tag] += 1
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside[tag]:
            self._inside[tag] -= 1
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if any(self._inside[tag] for tag in _UNSEEN):
            return
        if self._inside["title"]:
            self.title.append(data)
        else:
            self.body.append(data.replace("\n", _LINE_BREAK) if self._inside["pre"] else data)

    def _break(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.body.append(_BLOCK_BREAK)
        elif tag == "br":
            self.body.append(_LINE_BREAK)
        elif tag in ("td", "th"):
            self.body.append(" ")


def _of_pdf(data: bytes) -> _Extract:
    from pypdfium2 import PdfDocument, PdfiumError

    with _PDFIUM:
        try:
            pdf = PdfDocument(data)
            try:
                text = _PAGE_BREAK.join(_page_texts(pdf))
                title = pdf.get_metadata_value("Title").replace("\0", "")
                return _Extract(text, "pdf", title, len(pdf))
            finally:
                pdf.close()
        except PdfiumError as error:
            locked = "password" in str(error).lower()
            message = "is a PDF that needs a password" if locked else "is a damaged PDF"
            raise BadInputError(SkipReason.CORRUPT, message) from error


def _page_texts(pdf: PdfDocument) -> Iterator[str]:
    for number in range(len(pdf)):
        page = pdf[number]
        textpage = page.get_textpage()
        text = textpage.get_text_bounded().replace("\r\n", "\n").replace("\r", "\n")
        textpage.close()
        page.close()
        yield _PDF_HYPHEN.sub("", text).replace("\0", "").replace(_PAGE_BREAK, "\n")
