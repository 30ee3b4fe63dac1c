"""Promise 1: every file given is accounted for, whatever becomes of the tree between runs."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from indexer import create, index, verify
from retrieval.schema import SkipReason, uri_of
from tests import collections

NAMES = ["a.jpg", "b.png", "c.txt", "d.md", "e.xyz", "f.JPG", "sub/a.jpg", "sub/g.jpg", "猫.jpg"]
KINDS = ["red", "green", "blue", "words", "other words", "empty", "broken", "blank"]
SIDECARS = ["a.json", "sub/g.txt", "猫.jpg.txt"]
CAPTIONS = ["a small boat", "两只狗", "{not json"]


@dataclass
class Tree:
    """The naive model: files by name, and what a run must say of them."""

    files: dict[str, tuple[str, int]] = field(default_factory=dict)  # content, version
    sidecars: dict[str, tuple[str, int]] = field(default_factory=dict)
    known: dict[str, tuple[object, str, str]] = field(default_factory=dict)  # state, kind, outcome
    version: int = 0

    def run(self) -> tuple[Counter[str], int]:
        """Outcomes of a run over the tree, and how many files vanished."""
        counts: Counter[str] = Counter()
        done: dict[str, str] = {}
        before = dict(self.known)
        for name in sorted(self.given(), key=_walk_order):
            state, kind = self._state(name), _effective(name, self._content(name))
            counts[self._outcome(name, state, kind, before, done)] += 1
        vanished = [name for name in before if name not in self.given()]
        lost = sum(before[name][2] in ("indexed", "duplicate") for name in vanished)
        for name in vanished:
            del self.known[name]
        return counts, lost

    def _outcome(
        self,
        name: str,
        state: object,
        kind: str,
        before: dict[str, tuple[object, str, str]],
        done: dict[str, str],
    ) -> str:
        if kind in tuple(SkipReason):
            self.known[name] = (state, kind, kind)
            return kind
        if name in before and before[name][0] == state and before[name][1] == kind:
            return "unchanged"
        earlier, given = kind in done.values(), self.given()
        still = any(
            other != name
            and known[1] == kind
            and known[2] in ("indexed", "duplicate")
            and other in given
            and (self.files.get(other) or self.sidecars.get(other)) == known[0][0]  # type: ignore[index]
            for other, known in before.items()
        )
        done[name] = kind
        outcome = "duplicate" if earlier or still else "indexed"
        self.known[name] = (state, kind, outcome)
        return outcome

    def given(self) -> list[str]:
        """Files that are no sidecars now; a sidecar without its picture is a file like any."""
        alone = [name for name in self.sidecars if not self._is_sidecar(name)]
        return [*self.files, *alone]

    def _is_sidecar(self, name: str) -> bool:
        base = name.rsplit(".", 1)[0]
        pictures = (".jpg", ".JPG", ".png")
        return any(base + suffix in self.files for suffix in pictures) or (
            base in self.files and base.endswith(pictures)
        )

    def _content(self, name: str) -> str:
        return self.files[name][0] if name in self.files else self.sidecars[name][0]

    def _state(self, name: str) -> object:
        if name not in self.files:
            return (self.sidecars[name], ())
        base = name.rsplit(".", 1)[0]
        beside = tuple(
            (other, value)
            for other, value in sorted(self.sidecars.items())
            if other.rsplit(".", 1)[0] in (base, name) and name.lower().endswith(("jpg", "png"))
        )
        return (self.files[name], beside)


def _walk_order(name: str) -> list[bytes]:
    return [part.encode() for part in name.split("/")]


def _effective(name: str, content: str) -> str:
    """What a content is under a name: the kind of its asset, or the reason to skip it."""
    suffix = name.rsplit(".", 1)[1].lower()
    if suffix in ("xyz", "json"):
        return SkipReason.UNSUPPORTED
    if content == "empty":
        return SkipReason.EMPTY
    is_text = content in ("words", "other words", "blank", *CAPTIONS)
    if suffix in ("txt", "md"):
        if content == "blank":
            return SkipReason.NO_CONTENT
        return content if is_text else SkipReason.CORRUPT
    return content if content in ("red", "green", "blue") else SkipReason.CORRUPT


def _write(path: Path, content: str, version: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if content in ("red", "green", "blue"):
        Image.new("RGB", (32, 24), content).save(path, "PNG")
    elif content == "empty":
        path.write_bytes(b"")
    elif content == "broken":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    else:
        path.write_text("   \n" if content == "blank" else content)
    os.utime(path, ns=(version * 10**9, version * 10**9))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(KINDS)),
        st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just("")),
        st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.tuples(st.just("caption"), st.sampled_from(SIDECARS), st.sampled_from(CAPTIONS)),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(rounds=st.lists(steps, min_size=1, max_size=3))
@example(
    rounds=[[("caption", "sub/g.txt", "a small boat")], [("write", "sub/g.jpg", "red")]]
)  # a text becomes a sidecar
def test_promise_accounted(rounds: list[list[tuple[str, str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, root, tree = Path(folder) / "home", Path(folder) / "media", Tree()
        collection = create("photos", settings=collections.settings(home))
        _write(root / "anchor.txt", "other words", 1)  # the root is never empty
        tree.files["anchor.txt"] = ("other words", 1)
        for operations in rounds:
            for operation in operations:
                _apply(tree, root, operation)
            expected, vanished = _expected(tree)
            report = index([str(root)], collection)
            actual = Counter(
                {
                    "indexed": report.indexed,
                    "duplicate": report.duplicates,
                    "unchanged": report.unchanged,
                    **{str(reason): count for reason, count in report.skipped.items()},
                }
            )
            assert +actual == expected
            assert report.vanished == vanished
            assert report.total == len(tree.given())
        held = {s.uri for s in collections.contents(collection).sightings}
        good = {n for n, known in tree.known.items() if known[2] in ("indexed", "duplicate")}
        assert held == {uri_of(root / name) for name in good}
        assert verify(collection).problems == ()


def _expected(tree: Tree) -> tuple[Counter[str], int]:
    counts, vanished = tree.run()
    return +counts, vanished


def _apply(tree: Tree, root: Path, operation: tuple[str, str, str]) -> None:
    verb, name, argument = operation
    tree.version += 1
    version = tree.version + 10
    if verb == "write":
        _write(root / name, argument, version)
        tree.files[name] = (argument, version)
    elif verb == "delete" and name in tree.files:
        (root / name).unlink()
        del tree.files[name]
    elif verb == "rename" and name in tree.files and argument != name:
        (root / argument).parent.mkdir(parents=True, exist_ok=True)
        (root / name).replace(root / argument)
        tree.files[argument] = tree.files.pop(name)
    elif verb == "caption":
        _write(root / name, argument, version)
        tree.sidecars[name] = (argument, version)


def test_the_line_adds_up(tmp_path: Path) -> None:
    _write(tmp_path / "media/a.jpg", "red", 1)
    _write(tmp_path / "media/b.jpg", "red", 1)
    _write(tmp_path / "media/c.jpg", "broken", 1)
    collection = create("photos", settings=collections.settings(tmp_path / "home"))
    report = index([str(tmp_path / "media")], collection)
    assert report.accounting() == "indexed 1, unchanged 0, duplicates 1, skipped 1 = 3"
    again = index([str(tmp_path / "media")], collection)
    assert again.accounting() == "indexed 0, unchanged 2, duplicates 0, skipped 1 = 3"


@pytest.mark.parametrize("stays", [True, False])
def test_a_moved_file_is_no_duplicate(tmp_path: Path, stays: bool) -> None:
    _write(tmp_path / "media/a.jpg", "red", 1)
    collection = create("photos", settings=collections.settings(tmp_path / "home"))
    index([str(tmp_path / "media")], collection)
    _write(tmp_path / "media/b.jpg", "red", 1)
    if not stays:
        (tmp_path / "media/a.jpg").unlink()
    report = index([str(tmp_path / "media")], collection)
    assert (report.indexed, report.duplicates, report.vanished) == (
        (0, 1, 0) if stays else (1, 0, 1)
    )
