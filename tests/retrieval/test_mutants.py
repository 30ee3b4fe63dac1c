"""Promise 3 on real encoders: the ways to go wrong in silence, each caught before it does harm.

The collections are real and made by the sound encoder. A mutant then opens them under its name and
fingerprint, so that nothing but the probes can catch it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from indexer import create
from indexer.opening import writing
from retrieval import Part, Query, registry
from retrieval.collection import Collection
from retrieval.errors import EncoderMismatchError
from retrieval.protocols import Encoder
from retrieval.schema import Modality
from tests import collections, corpus
from tests.mutants import MUTANTS, OF_SCHEME, UNSEEN, Subject, mutant

Opened = Callable[[str], tuple[Subject, Collection]]
QUERIES: list[Modality] = ["text", "image"]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Gives a scheme's sound encoder, loaded once, and an empty collection made with it."""

    @cache
    def make(scheme: str) -> tuple[Subject, Collection]:
        home = tmp_path_factory.mktemp(scheme)
        subject = Subject(scheme, home / "weights")
        with pytest.MonkeyPatch.context() as patch:
            use(patch, subject.sound)
            made = create("photos", encoder=subject.url, settings=collections.settings(home))
        return subject, made

    return make


def use(patch: pytest.MonkeyPatch, encoder: Encoder) -> None:
    """Let every URL open this encoder."""
    patch.setattr(registry, "open_encoder", lambda url, compute: encoder)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return corpus.picture(tmp_path_factory.mktemp("query") / "query.png").read_bytes()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, picture: bytes) -> Iterator[Callable[..., None]]:
    """Asks a collection its first query, in one modality, with an encoder that is given."""

    def first(collection: Collection, encoder: Encoder, modality: Modality) -> None:
        use(monkeypatch, encoder)
        content = "a boat on a lake" if modality == "text" else picture
        with Collection(collection.directory, collection.settings) as fresh:
            fresh.search(Query((Part(content, modality),)))

    return first


def marked(scheme: str, *rest: str) -> Any:
    """A case; those with Torch take more than a few seconds."""
    marks = [pytest.mark.slow] if scheme == "open_clip" else []
    return pytest.param(scheme, *rest, marks=marks)


@pytest.mark.parametrize(("scheme", "name"), [marked(*case) for case in MUTANTS])
def test_promise_never_silently_wrong(
    scheme: str,
    name: str,
    opened: Opened,
    ask: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, collection = opened(scheme)
    with mutant(subject, name) as encoder:
        use(monkeypatch, encoder)
        with pytest.raises(EncoderMismatchError), writing(collection):
            pytest.fail("was opened for writing")
        for modality in QUERIES:
            if modality in UNSEEN.get(name, ()):
                ask(collection, encoder, modality)
            else:
                with pytest.raises(EncoderMismatchError):
                    ask(collection, encoder, modality)


@pytest.mark.parametrize("scheme", [marked(scheme) for scheme in OF_SCHEME])
def test_the_sound_encoder_is_let_in(
    scheme: str, opened: Opened, ask: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, collection = opened(scheme)
    use(monkeypatch, subject.sound)
    with writing(collection):
        pass
    for modality in QUERIES:
        ask(collection, subject.sound, modality)
