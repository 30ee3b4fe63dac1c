"""What is said in films and recordings, written down: stretches of sound into passages of speech.

Gets: readings with sound in which somebody may speak. Gives: the same readings with passages
instead. Touches: a transcriber, which loads when it is first needed. Never: a store, a file.

A transcript that came with the file and has no times gets those of the words that are heard. It is
used up stretch by stretch, so that what is left of it is all that must be known to go on; what is
left at the end of the file was not heard in it, and is found without a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from retrieval import transcripts
from retrieval.errors import EcholensError
from retrieval.listeners import Transcriber
from retrieval.passages import passages, room_of
from retrieval.schema import Draft
from retrieval.timed import Segment, Speech
from retrieval.times import clock

from .schema import Reading


class Listener:
    """Writes down what is said."""

    def __init__(self, transcriber: Callable[[], Transcriber] | None, tokens: int | None) -> None:
        """Take what opens a transcriber, or None where the collection has none.

        Args:
            transcriber: called when there is something to be heard.
            tokens: that the encoder of texts reads; None where it doesn't say.
        """
        self._open = transcriber
        self._opened: Transcriber | None = None
        self._room = room_of(tokens)

    def heard(self, reading: Reading, script: str | None) -> tuple[Reading, str | None]:
        """A reading with the passages of its speech, and what is left of the transcript.

        Args:
            reading: of a stretch; one without speech is given back.
            script: what the stretches before have left; None at the first one.
        """
        script = reading.script if script is None else script
        if reading.drafts is None:
            return reading, script
        if self._open is None:
            return self._unheard(reading, script)
        segments, odd = self._written_down(reading.speech)
        if script:
            aligned = transcripts.align(script, segments)
            segments, script = list(aligned.segments), aligned.rest
        drafts = (*reading.drafts, *transcripts.passages_of(segments, self._room))
        if script and reading.following is None:
            drafts, script = (*drafts, *_untimed(script, self._room)), ""
        warnings, has_gap = (*reading.warnings, *odd), reading.has_gap or bool(odd)
        reading = replace(reading, drafts=drafts, speech=(), warnings=warnings, has_gap=has_gap)
        return reading, script

    def _unheard(self, reading: Reading, script: str | None) -> tuple[Reading, str | None]:
        """Without a transcriber a transcript has no times, and is found as a whole."""
        assert reading.drafts is not None
        drafts = reading.drafts
        if script:
            drafts = (*drafts, *_untimed(script, self._room))
        return replace(reading, drafts=drafts, speech=()), None if script is None else ""

    def _written_down(self, heard: Sequence[Speech]) -> tuple[list[Segment], list[str]]:
        """What is said, and warnings: what a transcriber fails at costs no more than itself."""
        segments: list[Segment] = []
        odd: list[str] = []
        for speech in heard:
            try:
                segments += self._segments(speech)
            except EcholensError:
                raise
            except Exception as error:  # noqa: BLE001 - it may raise anything
                what = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
                odd.append(
                    f"what is said from {clock(speech.start)} on can't be written down: {what}"
                )
        return segments, odd

    def _segments(self, speech: Speech) -> Iterator[Segment]:
        """What a transcriber writes down, in seconds of the file."""
        if self._opened is None:
            assert self._open is not None
            self._opened = self._open()
        for segment in self._opened.transcribe(speech.samples):
            yield _later(segment, speech.start)


def has_unheard_speech(reading: Reading) -> bool:
    """Whether a file has sound, and nothing says what is spoken in it; no, if that is known."""
    said = reading.drafts is None or any(draft.kind == "speech" for draft in reading.drafts)
    return bool(reading.fields.get("has_audio")) and not said and not reading.script


def _later(segment: Segment, by: float) -> Segment:
    words = tuple(replace(w, start=w.start + by, end=w.end + by) for w in segment.words)
    return replace(segment, start=segment.start + by, end=segment.end + by, words=words)


def _untimed(script: str, room: int) -> Iterator[Draft]:
    for start, end in passages(script, room):
        text = script[start:end]
        yield Draft("speech", (text,), text=text)
