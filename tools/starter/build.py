"""Builds every file of the starter's encoders from packages and a folder of captioned photos.

    make starter DATA=folder [COCO=folder]

Gets: DATA, a folder with ``images/``, ``captions.tsv`` and, for the Chinese head,
``captions_zh.tsv`` and ``captions_zh_mt.tsv`` (columns image, split, caption_index, caption); COCO,
another folder to measure on, with ``images/`` and ``captions.json``. Gives: everything in
``retrieval/encoders/starter_files/`` but its README, and a table of what the dev split says.
Touches: that folder, and ``build/starter`` with the towers' features, so that a second build is
short. Never: the network; the dev split, before the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from retrieval.encoders.starter import encoder, sentences
from retrieval.encoders.starter.conse import Classes
from retrieval.encoders.starter.files import FILES, array, unit
from retrieval.encoders.starter.pictures import Seen

from . import chinese, features, figures, heads, towers
from .data import Captioned, flickr
from .features import Array, Cache
from .heads import Head, Recipe, Scale

MEMBERS = (Recipe(seed=0), Recipe(seed=1, softness=0.4))  # equally good; together better
CHINESE = Recipe(hidden=256, width=encoder.DIM, epochs=40, softness=0.4)
CHINESE_TABLES = ("captions_zh.tsv",)  # of people; the machine's are for measuring


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the starter's files.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--coco", type=Path, metavar="FOLDER")
    parser.add_argument("--cache", type=Path, default=Path("build/starter"), metavar="FOLDER")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--keep-towers", action="store_true", help="the classifier as it is")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)

    cache, train = Cache(options.cache), flickr(options.data, "train")
    if not options.keep_towers:
        towers.build(train.photos)
    print("english heads")
    views = [features.of_photos(cache, train.photos, mirrored=m) for m in (False, True)]
    members, scale, projection = build_english(cache, train, views)
    if all((options.data / table).is_file() for table in CHINESE_TABLES):
        print("chinese head")
        build_chinese(cache, options.data, views, (members, scale), projection)
    towers.write_digests()
    print(figures.table_of(cache, options.data, options.coco))


def build_english(
    cache: Cache, train: Captioned, views: list[Seen]
) -> tuple[list[Head], Scale, Array]:
    """Train and write both heads and the projection; the picture's members with their scale."""
    seen = [np.sqrt(np.maximum(view.features, 0)) for view in views]
    said = features.of_english(cache, train.texts)
    picture_scale, text_scale = Scale.of(np.concatenate(seen)), Scale.of(said)
    looks = np.stack([picture_scale(part) for part in seen])
    captions = per_photo(text_scale(said), train)
    meaning = per_photo(centred(said[:, : sentences.WIDTH]), train)
    pairs = [heads.train_pair(looks, captions, meaning, recipe) for recipe in MEMBERS]
    pictures, texts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    write_head("picture_head.npz", picture_scale, pictures)
    write_head("english_head.npz", text_scale, texts)
    classes = Classes()
    both = [
        encoder.joined(
            applied("picture_head.npz", seen[0]), classes.of_pictures(views[0].probabilities)
        ),
        encoder.joined(applied("english_head.npz", said), classes.of_texts(said)),
    ]
    np.save(FILES / "projection.npy", principal(both, encoder.DIM).astype(np.float16))
    return pictures, picture_scale, array("projection.npy")


def build_chinese(
    cache: Cache,
    folder: Path,
    views: list[Seen],
    trained: tuple[list[Head], Scale],
    projection: Array,
) -> None:
    """Train and write the Chinese head."""
    tables = [flickr(folder, "train", table) for table in CHINESE_TABLES]
    said = [features.of_chinese(cache, table.texts) for table in tables]
    scale = Scale.of(np.concatenate(said))
    captions = [per_photo(scale(s), t) for s, t in zip(said, tables, strict=True)]
    meaning = [
        per_photo(centred(s[:, : sentences.WIDTH]), t) for s, t in zip(said, tables, strict=True)
    ]
    members, picture_scale = trained
    looks = [picture_scale(np.sqrt(np.maximum(view.features, 0))) for view in views]
    named = [Classes().of_pictures(view.probabilities) for view in views]
    weighted = np.stack(named) * np.float32(np.sqrt(encoder.CONSE_WEIGHT))
    finished = chinese.disturbed_looks(np.stack(looks), weighted, members, projection, CHINESE)
    sentences_in = np.concatenate(captions, axis=1), np.concatenate(meaning, axis=1)
    head = chinese.train(finished, *sentences_in, CHINESE)
    write_head("chinese_head.npz", scale, [head])


def write_head(name: str, scale: Scale, members: list[Head]) -> None:
    """Int8 weights with a scale a row, and the rest as it is."""
    arrays = [member.arrays() for member in members]
    held = {"mean": scale.mean, "scale": scale.scale, "clip": np.float32(heads.CLIP)}
    held |= {key: np.stack([a[key] for a in arrays]) for key in ("b1", "b2")}
    for key in ("w1", "w2", "w3"):
        weights = np.stack([a[key] for a in arrays])
        row = np.abs(weights).max(axis=-1) / 127
        held[key] = np.rint(weights / row[..., None]).astype(np.int8)
        held[f"{key}_scale"] = row.astype(np.float32)
    np.savez(FILES / name, **held)


def applied(name: str, features_in: Array) -> Array:
    """What a head gives, as it is written."""
    return encoder.Head(FILES / name)(features_in)


def principal(parts: list[Array], dim: int) -> Array:
    """(d, dim): the directions that hold most of the vectors, each part counted alike."""
    moments = sum(part.T.astype(np.float64) @ part / len(part) for part in parts)
    _, directions = np.linalg.eigh(moments)
    best = directions[:, ::-1][:, :dim]
    signs = np.sign(best[np.abs(best).argmax(axis=0), np.arange(dim)])  # the same everywhere
    return np.asarray(best * signs, np.float32)


def per_photo(rows: Array, captioned: Captioned) -> Array:
    """(photos, captions, d) from rows in the order of the photos, as many for each."""
    return rows.reshape(len(captioned.photos), -1, rows.shape[1])


def centred(vectors: Array) -> Array:
    """Sentence vectors without their mean, norm 1."""
    vectors = unit(vectors)
    return unit(vectors - vectors.mean(axis=0))


if __name__ == "__main__":
    main()
