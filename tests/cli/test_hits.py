"""Hits that are, or have, moments: the table, the records, the links."""

from __future__ import annotations

import json

import pytest

from cli.hits import as_record, found_by, lacks, link, show
from retrieval import Evidence, Hit, Moment, Results
from retrieval.schema import Span, uri_of

SAID = Evidence("speech", "b" * 32, Span(13.0, 19.5), 2.1, "boarding  starts\nin ten minutes")
SEEN = Evidence("shot", "c" * 32, Span(12.0, 24.5), 0.614)
HEARD = Evidence("window", "d" * 32, Span(60.0, 70.0), 0.25)
FIRST = Moment(13.0, 24.5, 2.714, (SAID, SEEN))
SECOND = Moment(3600.0, 3723.4, 0.25, (HEARD,))


def _film(**changed: object) -> Hit:
    fields = {
        "rank": 1,
        "score": 3.2,
        "asset": "a" * 64,
        "modality": "video",
        "document": "c" * 32,
        "uris": (uri_of("/films/airport.mp4"),),
        "moments": (FIRST, SECOND),
        "silent": ("sound",),
    }
    return Hit(**{**fields, **changed})  # type: ignore[arg-type]


PHOTO = Hit(2, 0.5, "e" * 64, "image", "f" * 32, (uri_of("/photos/red.png"),), ("a red car",))


def _shown(
    capfdbinary: pytest.CaptureFixture[bytes], form: str, *hits: Hit, flat: bool = False
) -> list[str]:
    show(Results(hits), form, flat=flat, end=b"\n")
    return capfdbinary.readouterr().out.decode().splitlines()


def test_a_film_has_a_line_for_each_moment_and_one_for_what_it_lacks(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    head, first, second, lacking, photo = _shown(capfdbinary, "table", _film(), PHOTO)

    assert head.split() == ["rank", "score", "file", "time", "found", "by"]
    assert first.split(maxsplit=4) == [
        "1",
        "3.200",
        "/films/airport.mp4",
        "0:13.0-0:24.5",
        'speech 2.10, shot 0.61 "boarding starts in ten minutes"',
    ]
    assert second.split(maxsplit=1) == ["1:00:00.0-1:02:03.4", "sound 0.25"]
    assert lacking.strip() == "(no sound)"
    assert photo.split(maxsplit=3) == ["2", "0.500", "/photos/red.png", "a red car"]
    assert photo.index("a red car") == first.index("speech 2.10")


def test_without_films_the_table_has_no_times(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _shown(capfdbinary, "table", PHOTO)[0].split() == ["rank", "score", "file", "text"]


def test_moments_by_themselves_have_a_line_each(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    hits = [_film(moments=(FIRST,)), _film(rank=2, score=0.25, moments=(SECOND,))]

    _, first, second = _shown(capfdbinary, "table", *hits, flat=True)

    assert "0:13.0-0:24.5" in first
    assert second.split()[:4] == ["2", "0.250", "/films/airport.mp4", "1:00:00.0-1:02:03.4"]


def test_what_a_recording_lacks_leaves_out_that_it_shows_nothing() -> None:
    silent = ("shots", "speech")

    assert lacks(_film(silent=silent)) == "no shots, no speech"
    assert lacks(_film(silent=silent, modality="audio")) == "no speech"
    assert lacks(_film(silent=())) == ""


def test_records_have_moments_with_their_evidence_and_links(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    (line,) = _shown(capfdbinary, "jsonl", _film())
    record = json.loads(line)

    first, second = record["moments"]
    assert (first["start"], first["end"], first["score"]) == (13.0, 24.5, 2.714)
    assert first["link"] == "/films/airport.mp4#t=13.0,24.5"
    assert second["link"] == "/films/airport.mp4#t=3600.0,3723.4"
    assert first["evidence"][0] == {
        "kind": "speech",
        "document": "b" * 32,
        "span": {"start": 13.0, "end": 19.5},
        "score": 2.1,
        "text": "boarding  starts\nin ten minutes",
    }
    assert record["silent"] == ["sound"]
    assert "link" not in record  # the hit is the film


def test_paths_are_links_where_hits_are_moments(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _shown(capfdbinary, "paths", _film()) == ["/films/airport.mp4"]
    assert _shown(capfdbinary, "paths", _film(), flat=True) == ["/films/airport.mp4#t=13.0,24.5"]
    assert as_record(_film(), flat=True)["link"] == link(_film())


def test_a_control_character_in_what_was_said_is_harmless() -> None:
    moment = Moment(0.0, 1.0, 1.0, (Evidence("speech", "b" * 32, Span(0, 1), 1.0, "a\x1b[31m"),))

    assert found_by(moment) == 'speech 1.00 "a\\x1b[31m"'


def test_a_document_with_a_time_is_a_moment_and_a_passage_of_a_text_is_none(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    said = _film(moments=(), kind="speech", span=Span(13.0, 19.5), text="boarding starts")
    page = Hit(2, 0.5, "e" * 64, "text", "f" * 32, ("file:///a.pdf",), span=Span(100, 200),
               text="a page", kind="passage")  # fmt: skip

    _, first, _, second = _shown(capfdbinary, "table", said, page)

    assert "0:13.0-0:19.5" in first
    assert first.endswith('speech 3.20 "boarding starts"')
    assert second.split(maxsplit=3) == ["2", "0.500", "/a.pdf", "a page"]


def test_moments_that_speak_against_a_film_are_left_out(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    against = Moment(30.0, 40.0, -0.5, (Evidence("shot", "9" * 32, Span(30, 40), -0.5),))
    film = _film(silent=())

    assert len(_shown(capfdbinary, "table", _film(moments=(FIRST, against), silent=()))) == 2
    assert len(_shown(capfdbinary, "table", _film(moments=(against,), silent=()))) == 2
    assert len(_shown(capfdbinary, "table", film)) == 3
