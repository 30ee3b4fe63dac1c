"""The demonstration: index a folder of photos, then ask it in several ways, showing each command.

Gets: scikit-image's packaged photos, or a folder of one's own. Gives: the commands' own output and
a contact sheet. Touches: the folder `demo/` of the clone. Never: the network.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
COLLECTION = "demo/collection"
OWN = "demo/own"  # the collection of a folder of one's own
SHEET = "demo/sheet.png"

# Photos of the scikit-image package, some with our captions. Most go without, as photos do: they
# are found by what they show.
CAPTIONS = {
    "astronaut.png": "An astronaut in an orange suit smiles in front of a flag",
    "brick.png": "",
    "camera.png": "A man with a camera on a tripod in a field",
    "cell.png": "",
    "chelsea.png": "",
    "clock_motion.png": "",
    "coffee.png": "A cup of coffee with a spoon on a wooden table",
    "coins.png": "Greek coins from Pompeii on a dark cloth",
    "grass.png": "",
    "gravel.png": "",
    "horse.png": "",
    "hubble_deep_field.jpg": "Distant galaxies, seen by the Hubble space telescope",
    "ihc.png": "",
    "microaneurysms.png": "",
    "moon.png": "Craters on the surface of the moon",
    "motorcycle_left.png": "",
    "page.png": "",
    "retina.jpg": "",
    "rocket.jpg": "",
}
ASKED_WITH = "motorcycle_right.png"  # not indexed


def main() -> None:
    """Prepare the folder, then run the commands."""
    arguments = _arguments()
    DEMO.mkdir(exist_ok=True)
    for picture in (arguments.media, arguments.picture):
        if picture and not Path(picture).expanduser().exists():
            sys.exit(f"error: {picture} does not exist.")
    (ROOT / SHEET).unlink(missing_ok=True)
    if arguments.media:
        collection = _collection_of(arguments.media)
        _own(
            Echolens(collection),
            arguments.media,
            arguments.query or "a photo of people",
            arguments.picture,
        )
    else:
        collection = COLLECTION
        _packaged(Echolens(collection))
    sheet = f"The contact sheet is {ROOT / SHEET}; t" if (ROOT / SHEET).exists() else "T"
    print(f"\n{sheet}he collection is {ROOT / collection}.")


def _collection_of(folder: str) -> str:
    """A collection for each folder, so that an answer shows nothing of another."""
    path = Path(folder).expanduser().resolve()
    return f"{OWN}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Index photos and search them.")
    parser.add_argument("--media", help="a folder of your own instead of the packaged photos")
    parser.add_argument("--query", help="words to search it for")
    parser.add_argument("--picture", help="a picture to search it with")
    return parser.parse_args()


def _packaged(echolens: Echolens) -> None:
    _copy_photos(DEMO / "photos")
    echolens("index", "demo/photos")
    say("By words. This photo has no caption; it is found by what it shows:")
    echolens("search", "a cat", "-k", "3")
    say("By words that only a caption knows:")
    echolens("search", "pompeii", "-k", "3")
    say("By a picture that is not in the collection (the motorcycle, a step to the right):")
    echolens("search", "--image", f"demo/{ASKED_WITH}", "-k", "3")
    say("By this picture and words together:")
    echolens("search", "a rocket", "--image", f"demo/{ASKED_WITH}", "-k", "3")
    say("Captions found for a picture:")
    echolens("search", "--image", "demo/photos/camera.png", "--modality", "text", "-k", "3")
    say("With a contact sheet of the hits:")
    words = "exploring space: the moon, a rocket, an astronaut"
    echolens("search", words, "-k", "4", "--sheet", SHEET)


def _own(echolens: Echolens, folder: str, words: str, picture: str | None) -> None:
    echolens("index", folder)
    if not echolens.finds(words):
        sys.exit(f"error: nothing could be indexed in {folder}.\n next: Give a folder with photos.")
    say("By words:")
    echolens("search", words, "-k", "5")
    picture = picture or echolens.first_picture(words)
    if picture:
        say("By a picture:")
        echolens("search", "--image", picture, "-k", "5")
        say("By a picture and words together:")
        echolens("search", words, "--image", picture, "-k", "5")
        say("Captions found for a picture (texts and captions of your own, if there are any):")
        echolens("search", "--image", picture, "--modality", "text", "-k", "5")
    say("With a contact sheet of the hits:")
    echolens("search", words, "--modality", "image", "-k", "24", "--sheet", SHEET)


def _copy_photos(folder: Path) -> None:
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        sys.exit("error: scikit-image, which brings the photos, is not installed: make demo")
    packaged = Path(spec.origin).parent / "data"
    folder.mkdir(exist_ok=True)
    shutil.copy2(packaged / ASKED_WITH, DEMO / ASKED_WITH)
    for name, caption in CAPTIONS.items():
        shutil.copy2(packaged / name, folder / name)
        sidecar = (folder / name).with_suffix(".txt")
        if caption and not sidecar.exists():
            sidecar.write_text(caption + "\n", encoding="utf-8")


def say(text: str) -> None:
    """A heading between two commands."""
    print(f"\n{text}", flush=True)


@dataclass(frozen=True)
class Echolens:
    """The command, for one collection (a path below the clone)."""

    collection: str

    def __call__(self, *arguments: str) -> None:
        """Show a command as one would type it, and run it; nothing found is no reason to stop."""
        print(f"$ echolens -c {self.collection} {shlex.join(arguments)}", flush=True)
        code = subprocess.run([*self._program, *arguments], cwd=ROOT, check=False).returncode
        if code not in (0, 1, 3):
            sys.exit(code)

    def finds(self, words: str) -> bool:
        """Whether there is anything at all to be found."""
        return bool(self._first_path(words))

    def first_picture(self, words: str) -> str | None:
        """The path of the picture that fits best."""
        return self._first_path(words, "--modality", "image")

    def _first_path(self, words: str, *options: str) -> str | None:
        more = ["-k", "1", "--format", "paths", "-0", "-q"]
        found = subprocess.run(
            [*self._program, "search", words, *options, *more],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        return os.fsdecode(found.stdout.rstrip(b"\0")) or None

    @property
    def _program(self) -> list[str]:
        return [str(Path(sys.executable).with_name("echolens")), "-c", self.collection]


if __name__ == "__main__":
    main()
