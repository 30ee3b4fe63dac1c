"""The embedded tier and the server tier side by side, and how much of the latter is ours.

    python benchmarks/server_tier.py --documents 100000 --dim 512

Starts a real Milvus and a real Elasticsearch as the tests do (see CONTRIBUTING), makes synthetic
captions with vectors, and writes them batch by batch into `faiss:` and `sqlite:`, into `milvus://`
and `elasticsearch://`, and with the servers' own clients alone, which send the same rows and ask
the same questions. Prints the hardware, then for each step rates or 50th and 95th percentiles in
milliseconds, their ratios, and the memory of this process and of the servers.

Of our overhead in writing documents a part is asked for: what a batch's assets have already is
read first, so that writing it twice changes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from retrieval.document_stores.elasticsearch import rows as es_rows  # noqa: E402
from retrieval.document_stores.elasticsearch.filters import admitted  # noqa: E402
from retrieval.manifest import Manifest  # noqa: E402
from retrieval.protocols import DocumentStore, Place, VectorStore  # noqa: E402
from retrieval.query.backends import Backends  # noqa: E402
from retrieval.query.engine import search  # noqa: E402
from retrieval.query.parse import parse_query  # noqa: E402
from retrieval.registry import (  # noqa: E402
    open_asset_store,
    open_document_store,
    open_vector_store,
)
from retrieval.schema import (  # noqa: E402
    Background,
    Channel,
    Compare,
    Document,
    FloatArray,
    Sighting,
)
from retrieval.thumbnails import Thumbnails  # noqa: E402
from retrieval.words import query_terms  # noqa: E402
from tests.services.elasticsearch import ElasticsearchServer  # noqa: E402
from tests.services.milvus import MilvusServer  # noqa: E402

BATCH = 1_000
K = 10
WORDS = 8_000  # that captions are made of, as rare as Zipf's law has them
CLUSTERS = 500
RARE = Compare("year", "=", 1999.0)  # one in a hundred


@dataclass(frozen=True)
class Data:
    """Captions, each of an asset of its own, with their vectors and places; and questions."""

    documents: Sequence[Document]
    sightings: Sequence[Sighting]
    vectors: FloatArray
    queries: FloatArray
    words: Sequence[str]


@dataclass
class Way:
    """One way of keeping and finding it all; seconds of each call, by what was done."""

    name: str
    write_vectors: Callable[[slice], object]
    write_documents: Callable[[slice], object]
    by_vector: Callable[[FloatArray], Sequence[str]]
    by_words: Callable[[str, bool], Sequence[str]]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, what: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        answer = call()
        self.seconds.setdefault(what, []).append(time.perf_counter() - start)
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    print(machine())
    print(
        f"{options.documents:,} captions, {options.dim} dimensions, batches of {BATCH:,}, k = {K}"
    )
    data = made(options.documents, options.dim, options.queries)
    channel = Channel("random", "text", options.dim, "", "")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        milvus = stack.enter_context(started(MilvusServer(folder / "milvus")))
        elastic = stack.enter_context(started(ElasticsearchServer(folder / "elasticsearch")))
        embedded = opened(stack, folder / "embedded", channel, "faiss:", "sqlite:")
        urls = milvus.url("ours", "timeout=120"), elastic.url("ours")
        servers = opened(stack, folder / "servers", channel, *urls)
        raw_milvus, raw_elastic = milvus.client(), elastic.client()
        stack.callback(raw_milvus.close)
        stack.callback(raw_elastic.close)
        ways = [
            of_stores("embedded", *embedded, data),
            of_stores("servers", *servers, data),
            of_clients(raw_milvus, raw_elastic, data, options.dim),
        ]
        write(ways, data)
        settle(raw_milvus)
        readers = read_only(stack, folder, channel, urls)
        ways[0] = replace(of_stores("embedded", *readers[0], data), seconds=ways[0].seconds)
        ways[1] = replace(of_stores("servers", *readers[1], data), seconds=ways[1].seconds)
        ask(ways, data)
        whole(ways, readers, channel, data)
        report(ways, options.documents)
        servers_mb = {s.product: memory(s) for s in (milvus, elastic)}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = ", ".join(f"{name} {size:,.0f} MB" for name, size in servers_mb.items())
        print(f"\nresident: {told}; this process with all its data and both tiers {peak:,.0f} MB")


def made(count: int, dim: int, queries: int) -> Data:
    """Synthetic captions of 8 to 12 words, and unit vectors in clusters."""
    random = np.random.default_rng(12)
    centres = random.standard_normal((CLUSTERS, dim)).astype(np.float32)
    rows = centres[random.integers(CLUSTERS, size=count + queries)]
    rows += 0.7 * random.standard_normal(rows.shape, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    chosen = np.minimum(random.zipf(1.3, size=(count, 12)), WORDS)
    lengths = random.integers(8, 13, size=count)
    documents, sightings = [], []
    for number in range(count):
        asset = hashlib.sha256(str(number).encode()).hexdigest()
        text = " ".join(word(rank) for rank in chosen[number, : lengths[number]])
        documents.append(Document.of(asset, "passage", "random/text", text=text))
        fields = {
            "modality": "image",
            "year": 1999.0 if number % 100 == 7 else 2000.0 + number % 25,
        }
        sightings.append(Sighting(f"file:///photos/{number}.jpg", asset, fields, (text,)))
    asked = np.minimum(random.zipf(1.3, size=(queries, 3)) + 20, WORDS)
    words = [" ".join(word(rank) for rank in row) for row in asked]
    return Data(documents, sightings, rows[:count], rows[count:], words)


def word(rank: int) -> str:
    """The word of a rank, as good as any."""
    letters = "bcdfgklmnprstvz"
    return "".join(letters[(rank // 15**at) % 15] + "aeiou"[rank % 5] for at in range(4))


class started:  # noqa: N801 (a context manager, used like a function)
    """A server that runs, and its end."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def __enter__(self) -> Any:
        self.server.start()
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.stop()


def opened(
    stack: ExitStack, folder: Path, channel: Channel, vectors: str, documents: str
) -> tuple[VectorStore, DocumentStore]:
    """A vector store and a document store, to be written."""
    folder.mkdir()
    first = open_vector_store(Place(vectors, folder, read_only=False), channel)
    second = open_document_store(Place(documents, folder, read_only=False))
    stack.enter_context(closing(first))
    stack.enter_context(closing(second))
    return first, second


def read_only(
    stack: ExitStack, folder: Path, channel: Channel, urls: tuple[str, str]
) -> list[tuple[VectorStore, DocumentStore]]:
    """Both tiers as a search opens them."""
    found = []
    for name, (vectors, documents) in (("embedded", ("faiss:", "sqlite:")), ("servers", urls)):
        first = open_vector_store(Place(vectors, folder / name), channel)
        second = open_document_store(Place(documents, folder / name))
        stack.enter_context(closing(first))
        stack.enter_context(closing(second))
        found.append((first, second))
    return found


def of_stores(name: str, vectors: VectorStore, documents: DocumentStore, data: Data) -> Way:
    """Echolens' own stores."""

    def write_vectors(part: slice) -> None:
        its = data.documents[part]
        vectors.upsert([document.id for document in its], data.vectors[part], its)

    return Way(
        name,
        write_vectors,
        lambda part: documents.upsert(data.documents[part], data.sightings[part]),
        lambda query: vectors.search(query[None], K)[0].ids,
        lambda words, rare: documents.search(words, K, where=RARE if rare else None).ids,
    )


def of_clients(milvus: Any, elastic: Any, data: Data, dim: int) -> Way:
    """The servers' clients alone, with the same rows and the same questions."""
    ours = next(name for name in milvus.list_collections() if name.startswith("ours"))
    make_like(milvus, ours, "raw", dim)
    settings = elastic.indices.get(index="ours")["ours"]
    kept = ("analysis", "refresh_interval", "number_of_shards", "merge")
    of_index = {k: v for k, v in settings["settings"]["index"].items() if k in kept}
    elastic.indices.create(
        index="raw", mappings=settings["mappings"], settings={"number_of_replicas": 0, **of_index}
    )
    bodies = raw_rows(data)

    def write_vectors(part: slice) -> None:
        rows = [
            {"id": d.id, "asset": d.asset, "kind": d.kind, "vector": v}
            for d, v in zip(data.documents[part], data.vectors[part], strict=True)
        ]
        milvus.upsert("raw", rows)

    def by_vector(query: FloatArray) -> list[str]:
        found = milvus.search(
            "raw",
            [query],
            limit=K,
            output_fields=["id"],
            search_params={"metric_type": "IP", "params": {"ef": 128}},
            consistency_level="Bounded",
        )
        return [hit["id"] for hit in found[0]]

    def by_words(words: str, rare: bool) -> list[str]:
        match = {"match": {"words": " ".join(query_terms(words))}}
        passing = admitted(RARE if rare else None)
        found = elastic.search(
            index="raw",
            query={"bool": {"must": [match], "filter": [passing]}},
            sort=[{"_score": "desc"}, {"key": "asc"}],
            source=False,
            size=K,
            track_total_hits=False,
        )
        return [hit["_id"].partition(":")[2] for hit in found["hits"]["hits"]]

    return Way(
        "clients",
        write_vectors,
        lambda part: elastic.bulk(operations=bodies[part.start], index="raw", refresh=True),
        by_vector,
        by_words,
    )


def make_like(milvus: Any, ours: str, name: str, dim: int) -> None:
    """A Milvus collection of the same shape and the same index."""
    from pymilvus import DataType

    schema = milvus.create_schema(auto_id=False)
    schema.add_field("id", DataType.VARCHAR, max_length=32, is_primary=True)
    schema.add_field("asset", DataType.VARCHAR, max_length=64)
    schema.add_field("kind", DataType.VARCHAR, max_length=16)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = milvus.prepare_index_params()
    held = milvus.describe_index(ours, "vector")
    params = {"M": int(held["M"]), "efConstruction": int(held["efConstruction"])}
    index.add_index("vector", index_type="HNSW", metric_type="IP", params=params)
    milvus.create_collection(name, schema=schema, index_params=index, num_shards=1)


def raw_rows(data: Data) -> dict[int, list[Any]]:
    """What bulk requests carry, by the first document of a batch; made before the clock runs."""
    bodies = {}
    for part in parts(len(data.documents)):
        rows = []
        for document, sighting in zip(data.documents[part], data.sightings[part], strict=True):
            seen = es_rows.sighting_row(sighting, "", 0)
            rows += [seen, es_rows.document_row(document, [seen])]
        bodies[part.start] = [each for row in rows for each in es_rows.writing(row)]
    return bodies


def parts(count: int) -> Iterator[slice]:
    for start in range(0, count, BATCH):
        yield slice(start, min(start + BATCH, count))


def write(ways: Sequence[Way], data: Data) -> None:
    """Everything, a batch at a time, each way in turn."""
    for part in parts(len(data.documents)):
        for way in ways:
            way.timed("write vectors", lambda way=way, part=part: way.write_vectors(part))
            way.timed("write documents", lambda way=way, part=part: way.write_documents(part))


def settle(milvus: Any) -> None:
    """Wait until Milvus' indexes are built; the embedded one is at its first search."""
    for name in milvus.list_collections():
        milvus.flush(name)
        end = time.monotonic() + 600
        while milvus.describe_index(name, "vector")["pending_index_rows"]:
            if time.monotonic() > end:
                raise TimeoutError(f"{name} is still without its index")
            time.sleep(1)


def ask(ways: Sequence[Way], data: Data) -> None:
    """Every question, each way in turn; answers that differ are counted."""
    for way in ways:  # what is loaded at a first question
        way.by_vector(data.queries[0])
        way.by_words(data.words[0], True)
    agreed = {"vectors": 0, "words": 0}
    for query, words in zip(data.queries, data.words, strict=True):
        by_vector, by_words = [], []
        for way in ways:
            call = lambda way=way, query=query: way.by_vector(query)  # noqa: E731
            by_vector.append(set(way.timed("search vectors", call)))
            call = lambda way=way, words=words: way.by_words(words, False)  # noqa: E731
            by_words.append(tuple(way.timed("search words", call)))
            call = lambda way=way, words=words: way.by_words(words, True)  # noqa: E731
            way.timed("search words, 1 in 100 pass", call)
        agreed["vectors"] += len(by_vector[0] & by_vector[1])
        agreed["words"] += by_words[1] == by_words[2]
    count = len(data.queries)
    found = agreed["vectors"] / count / K
    print(f"hits of `milvus:` that `faiss:`, which is exact, has too: {found:.1%}")
    print(f"word searches with the client's very hits: {agreed['words'] / count:.1%}")


def whole(
    ways: Sequence[Way],
    readers: Sequence[tuple[VectorStore, DocumentStore]],
    channel: Channel,
    data: Data,
) -> None:
    """Whole searches: words and vector, fused, looked up and presented."""
    for query, words in zip(data.queries, data.words, strict=True):
        for way, (vectors, documents) in zip(ways[:2], readers, strict=True):
            backends = collection(vectors, documents, channel)
            (part,) = parse_query(words).parts
            part = replace(part, vectors={channel.space: query})
            asked = replace(parse_query(words), parts=(part,))
            for what, where in (("whole search", None), ("whole search, 1 in 100 pass", RARE)):
                call = lambda b=backends, a=asked, w=where: search(b, a, k=K, where=w)  # noqa: E731
                hits = way.timed(what, call)
                assert len(hits) == K, (way.name, len(hits))


def collection(vectors: VectorStore, documents: DocumentStore, channel: Channel) -> Backends:
    """A collection of these stores that encodes nothing."""
    manifest = Manifest(
        (channel,), "", "", "", {"year": "number"}, {channel.key: {"text": Background(0.0, 0.05)}}
    )
    assets = open_asset_store(Place("inplace:", Path()), lambda _: [])
    return Backends(
        Path(),
        manifest,
        documents,
        {channel.key: vectors},
        assets,
        no_encoder,
        no_probes,
        Thumbnails(Path(), read_only=True),
    )


def no_encoder(_: Channel) -> Any:
    raise AssertionError("the vectors are given")


def no_probes() -> Any:
    raise AssertionError("the vectors are given")


def report(ways: Sequence[Way], count: int) -> None:
    """A line for each thing done."""
    lines = []
    for what in dict.fromkeys(name for way in ways for name in way.seconds):
        cells = []
        for way in ways:
            seconds = way.seconds.get(what)
            if seconds is None:
                cells.append("-")
            elif what.startswith("write"):
                cells.append(f"{count / sum(seconds):,.0f}/s")
            else:
                cells.append("{:.1f} / {:.1f}".format(*np.percentile(seconds, [50, 95]) * 1000))
        lines.append((what, *cells, overhead(ways, what)))
    print()
    table(("", *(way.name for way in ways), "servers : clients"), lines)


def overhead(ways: Sequence[Way], what: str) -> str:
    """Our stores' time against the clients', in all for writing and at the median for asking."""
    ours, theirs = ways[1].seconds[what], ways[2].seconds.get(what)
    if theirs is None:
        return "-"
    if what.startswith("write"):
        return f"{sum(ours) / sum(theirs):.2f}"
    return f"{np.median(ours) / np.median(theirs):.2f}"


def memory(server: Any) -> float:
    """Resident megabytes of a server's processes."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            group = int((status.parent / "stat").read_text().rpartition(")")[2].split()[2])
        except (OSError, ValueError):
            continue
        if group == server._process.pid:
            total += int(lines.get("VmRSS", "0 kB").split()[0]) / 1024
    return total


if __name__ == "__main__":
    main()
