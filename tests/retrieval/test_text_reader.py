"""Texts in any encoding and form become passages that cover them without overlap."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.encodings import decode_text
from retrieval.errors import BadInputError
from retrieval.modalities.text import TextReader
from retrieval.passages import passages, tokens
from retrieval.protocols import Limits, ModalityReader
from retrieval.schema import Draft, FieldValue, SkipReason, Wants
from tests import corpus, handmade_pdf

READER: ModalityReader = TextReader(Limits())
WANTS = Wants(text_tokens=64)
TRADITIONAL = "一隻貓在屋頂上睡覺。沒有人敢叫醒牠！"


def drafts(data: bytes, wants: Wants = WANTS) -> list[Draft]:
    return list(READER.documents(io.BytesIO(data), wants))


def text_of(data: bytes) -> str:
    """The whole extracted text, when it is short enough for one passage."""
    (draft,) = drafts(data, Wants(text_tokens=10_000))
    return str(draft.text)


def fields(data: bytes) -> dict[str, FieldValue]:
    return dict(READER.describe(io.BytesIO(data)).fields)


def refusal(data: bytes) -> tuple[SkipReason, str]:
    with pytest.raises(BadInputError) as caught:
        drafts(data)
    return caught.value.reason, str(caught.value)


# -- passages -------------------------------------------------------------------------------------

WORDS = [
    "cat",
    "Fox. ",
    "Dr. ",
    " ",
    "\n",
    "\n\n",
    "\x0c",
    "猫",
    "狐狸。",
    "！",
    "……",
    "e.g. ",
    "\u3000",
    "Why?! ",
    "a, ",
    "é",
    "🦊",
    '"Yes." ',
    "\t",
    "。」",
]
PROSE = st.lists(st.sampled_from([*WORDS, "x" * 40]), max_size=120).map("".join)


@settings(max_examples=300)
@given(st.one_of(PROSE, st.text(max_size=300)), st.integers(0, 60))
def test_passages_cover_all_that_is_seen_and_never_overlap(text: str, room: int) -> None:
    cuts = list(passages(text, room))
    covered = set(itertools.chain.from_iterable(range(start, end) for start, end in cuts))
    assert len(covered) == sum(end - start for start, end in cuts)
    assert cuts == sorted(cuts)
    assert all(text[index].isspace() for index in set(range(len(text))) - covered)
    for start, end in cuts:
        assert text[start:end] == text[start:end].strip() != ""
        assert tokens(text[start:end]) <= max(room, 4)


@given(PROSE)
def test_a_text_that_fits_is_one_passage(text: str) -> None:
    assert len(list(passages(text, 10_000))) == (1 if text.strip() else 0)


def pieces(text: str, room: int) -> list[str]:
    return [text[start:end] for start, end in passages(text, room)]


def test_paragraphs_share_a_passage_while_they_fit() -> None:
    assert pieces("One.\n\nTwo.\n\nThree is longer.\n\nFour.", 6) == [
        "One.\n\nTwo.",
        "Three is longer.\n\nFour.",
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("The fox came. It left again!", ["The fox came.", "It left again!"]),
        ("Dr. Fox came by. He left!", ["Dr. Fox came by.", "He left!"]),
        ("It costs 3.14 today. Dear.", ["It costs 3.14 today.", "Dear."]),
        ("一只猫睡觉。没人叫醒它！", ["一只猫睡觉。", "没人叫醒它！"]),
        ("他说：“好。”她走了……是吗？", ["他说：“好。”", "她走了……", "是吗？"]),
    ],
)
def test_cuts_fall_between_sentences(text: str, sentences: list[str]) -> None:
    assert pieces(text, int(max(map(tokens, sentences)) + 0.99)) == sentences


def test_a_sentence_too_long_is_cut_between_words() -> None:
    text = "many words " * 40
    assert all(piece.split(" ")[0] in ("many", "words") for piece in pieces(text, 10))
    assert all(piece.split(" ")[-1] in ("many", "words") for piece in pieces(text, 10))


@pytest.mark.parametrize("unit", [".", "。", "x", "a, ", "\n.", " ", '."'])
def test_hostile_repetition_is_cut_in_reasonable_time(unit: str) -> None:
    """Quadratic work on 200,000 characters would hang here until the suite is stopped."""
    text = unit * (200_000 // len(unit))
    assert sum(end - start for start, end in passages(text, 62)) <= len(text)


def test_spans_are_places_in_the_extracted_text() -> None:
    text = corpus.ENGLISH * 20
    found = drafts(("\ufeff" + text.replace("\n", "\r\n")).encode())
    assert len(found) > 5
    for draft in found:
        assert draft.kind == "passage"
        assert draft.span is not None
        assert draft.text == text[int(draft.span.start) : int(draft.span.end)]
        assert draft.inputs == (draft.text,)
        assert tokens(draft.text) <= 62


def test_passages_follow_what_the_encoder_reads() -> None:
    data = (corpus.ENGLISH * 20).encode()
    assert len(drafts(data, Wants(text_tokens=32))) > len(drafts(data, Wants(text_tokens=256)))
    assert drafts(data, Wants())


# -- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (corpus.CHINESE, "utf-8"),
        (corpus.CHINESE, "utf-8-sig"),
        (corpus.CHINESE, "utf-16"),
        (corpus.CHINESE, "gb18030"),
        ("你好", "gb18030"),
        ("A 狐狸 on a roof", "gb18030"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "utf-16"),
        ("これは猫です。とても可愛いです。", "shift_jis"),
        ("고양이가 지붕에서 잔다. 여우가 지나간다.", "euc_kr"),
        ("Привет, мир. Лиса идёт через сад.", "cp1251"),
        ("Les élèves étaient très fatigués après l’école.", "cp1252"),
        ("Ein Füchslein", "latin-1"),
    ],
)
def test_encodings_are_recognised(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding)) == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff")))
def test_unicode_comes_through_whole(text: str) -> None:
    assert decode_text(text.encode("utf-8")) == text
    assert decode_text(text.encode("utf-8-sig")) == text
    assert decode_text(text.encode("utf-16")) == text


@given(st.lists(st.sampled_from(["\r\n", "\n", "\r", "a"])).map("".join))
def test_line_ends_are_made_alike(text: str) -> None:
    assert decode_text(text.encode()) == "\n".join(
        text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    )


def test_a_declared_encoding_is_believed_when_it_fits() -> None:
    data = "ąćęłńóśźż żółć".encode("iso-8859-2")
    assert decode_text(data, "iso-8859-2") == "ąćęłńóśźż żółć"
    assert decode_text("狐狸".encode(), "iso-8859-2") == "狐狸"
    assert decode_text("你好，猫咪在睡觉".encode("gb18030"), "no-such-codec") == "你好，猫咪在睡觉"


# -- what is no text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "reason", "message"),
    [
        (corpus.empty, SkipReason.EMPTY, "is empty"),
        (corpus.noise, SkipReason.CORRUPT, "is binary, not text"),
        (corpus.picture, SkipReason.CORRUPT, "is a PNG picture, not text"),
    ],
)
def test_what_is_no_text_is_named(
    tmp_path: Path, make: object, reason: SkipReason, message: str
) -> None:
    assert callable(make)
    assert refusal(make(tmp_path / "a.png").read_bytes()) == (reason, message)


@pytest.mark.parametrize("data", [b" \n\t ", b"\xef\xbb\xbf", "\u200b\u3000".encode()])
def test_a_blank_text_holds_nothing(data: bytes) -> None:
    assert refusal(data) == (SkipReason.NO_CONTENT, "holds no text")
    assert fields(data)["format"] == "text"


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(BadInputError) as caught:
        TextReader(Limits(bytes=10)).describe(io.BytesIO(b"x" * 11))
    assert caught.value.reason is SkipReason.TOO_LARGE


# -- forms ----------------------------------------------------------------------------------------


def test_plain_text_and_markdown(tmp_path: Path) -> None:
    assert fields(b"A fox.\n") == {"format": "text", "characters": 7}
    data = corpus.markdown(tmp_path / "a.md", "Notes ##").read_bytes()
    assert fields(data)["title"] == "Notes"
    assert text_of(data).startswith("---\ntags: [animals]\n---\n\n# Notes")
    assert fields(b"---\ntitle: 'The fox'\n---\n# Heading\n")["title"] == "The fox"


def test_html_shows_what_a_reader_sees(tmp_path: Path) -> None:
    data = corpus.html(tmp_path / "a.html", body="<p>A <b>red</b>\n fox &amp; a&nbsp;cat.</p>x")
    assert text_of(data.read_bytes()) == "Field notes\n\nA red fox & a cat.\n\nx"
    assert fields(data.read_bytes())["title"] == "Field notes"
    assert fields(data.read_bytes())["format"] == "html"


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>one<li>two</ul>", "one\n\ntwo"),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "1 2"),
        ("<pre>one\ntwo</pre>three", "one\ntwo\n\nthree"),
        ("<noscript>hidden</noscript><!-- hidden -->seen", "seen"),
        ("<div><div>nested</div></div>", "nested"),
        ("unclosed <b>tag", "unclosed tag"),
    ],
)
def test_html_blocks_and_lines(body: str, seen: str) -> None:
    page = f"<html><head><title>T</title></head><body>{body}</body></html>"
    assert text_of(page.encode()) == f"T\n\n{seen}"


def test_html_in_its_declared_encoding() -> None:
    page = '<html><head><meta charset="gb2312"></head><p>狐</p></html>'
    assert text_of(page.encode("gb18030")) == "狐"


def test_html_is_told_by_content() -> None:
    assert fields(b"<?xml version='1.0'?><!-- x --><html><p>a</p></html>")["format"] == "html"
    assert fields(b"<p>one</p>\n<p>two</p>\n")["format"] == "html"
    readme = b'<p align="center">logo</p>\n\n# Project\n\nWords.'
    assert fields(readme) == {"format": "text", "characters": len(readme), "title": "Project"}
    assert fields(b"a < b and c > d")["format"] == "text"


def test_a_page_of_many_siblings_is_read_in_reasonable_time() -> None:
    data = b"<html>" + b"<p>A fox in the <b>garden</b>.</p>\n" * 20_000
    assert fields(data)["characters"] == 20_000 * 20 + 19_999 * 2


def test_pdf_pages(tmp_path: Path) -> None:
    data = handmade_pdf.pdf(tmp_path / "a.pdf", ("A fox.", "一只猫在睡觉。"), "笔记").read_bytes()
    assert text_of(data) == "A fox.\f一只猫在睡觉。"
    assert fields(data) == {"format": "pdf", "characters": 14, "title": "笔记", "pages": 2}


def test_a_pdf_without_text_holds_nothing(tmp_path: Path) -> None:
    data = handmade_pdf.pdf(tmp_path / "a.pdf", ("", "")).read_bytes()
    assert refusal(data)[0] is SkipReason.NO_CONTENT
    assert fields(data)["pages"] == 2


def test_bad_pdfs_are_corrupt(tmp_path: Path) -> None:
    data = handmade_pdf.pdf(tmp_path / "a.pdf").read_bytes()
    assert refusal(b"%PDF-1.7\nnothing else") == (SkipReason.CORRUPT, "is a damaged PDF")
    assert refusal(data[:400]) == (SkipReason.CORRUPT, "is a damaged PDF")
    locked = handmade_pdf.locked_pdf(tmp_path / "b.pdf").read_bytes()
    assert refusal(locked) == (SkipReason.CORRUPT, "is a PDF that needs a password")


def test_a_query_is_its_whole_text() -> None:
    assert READER.query_input("  狐狸睡觉 \r\n".encode("gb18030"), WANTS) == "狐狸睡觉"


def test_reading_one_file_after_another_mixes_nothing() -> None:
    for text in ("A fox.", "A cat.", "A fox."):
        assert text_of(text.encode()) == text
