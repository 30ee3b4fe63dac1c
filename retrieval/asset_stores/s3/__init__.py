"""The asset store `s3://`: copies of the assets in a bucket, each an object named by its hash.

Gets: asset ids and bytes. Gives: open files. Touches: the objects ``PREFIX/aa/<asset>`` of the
URL's bucket; credentials, which the client finds in the environment or in AWS' file of them.
Never: a secret in a URL or a message; an object that it didn't write.

The URL is ``s3://BUCKET/PREFIX?endpoint=https://host:port&region=name&timeout=seconds``; all but
the bucket may be left out, and the endpoint is then AWS. A prefix belongs to one collection.

An asset is hashed while it is sent, and its last bytes are sent only once the hash is right, so an
object under its own name is always whole. The parts that a killed writer has sent of a large one
are swept when the next one first writes: who only opens may be about to be refused, while another
machine is sending. Deleting takes every version of an object.

Each request that is saved is felt: what goes in one piece is sent on the condition that it isn't
there yet, instead of asking first; opening brings the first bytes along, which tell the size.

A reader asks nothing until it needs an asset: a search goes on while the server is down.
"""

from __future__ import annotations

import configparser
import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError

from ...abilities import Service
from ...errors import CorruptError, EcholensError, StoreUnreachableError
from ...protocols import Locate, Place
from .address import CREDENTIALS, parse
from .connection import cause, connections
from .files import Hashed, Ranges, left, whole

CHUNK_BYTES = 2**20
PART_BYTES = 16 * 2**20  # sent at once; 10,000 of them are the most that an object may have
AHEAD_BYTES = 4 * 2**20  # of a file that is read bit by bit
ATTEMPTS = 3  # at a body that breaks off; requests have retries of their own

_ASSET = re.compile(r"[0-9a-f]{64}")
_THERE = ("PreconditionFailed", "ConditionalRequestConflict")
_VERSION = re.compile(r"\d+(\.\d+)+\S*")
_RUNS = "Check the endpoint and that its server runs; then run the same command again."


class S3Store:
    """An `AssetStore` of objects; see the protocol for what each method promises."""

    copies = True
    check_url = staticmethod(parse)

    def __init__(self, place: Place, locate: Locate) -> None:  # noqa: ARG002 (stores are made alike)
        """Open the bucket of the place's URL; a writer that may makes it.

        Raises:
            UsageError: the URL isn't one, or has a secret in it.
            CorruptError: opened for writing, and the bucket of an existing store is missing.
            StoreUnreachableError: opened for writing, and there is no answer or no access.
        """
        self._at = parse(place.url)
        self._read_only = place.read_only
        self._is_there = False  # whether the bucket was seen
        self._is_swept = False
        self._asks = False  # before it sends: the last asset was there, so may be the next
        self._conditions = True  # whether the server knows them
        self._provider = ChainedProvider([EnvAWSProvider(), AWSConfigProvider()])
        self._http = connections(self._at)
        self._client = Minio(
            self._at.endpoint.partition("://")[2],
            secure=self._at.endpoint.startswith("https:"),
            region=self._at.region,
            http_client=self._http,
            credentials=self._provider,
        )
        if not place.read_only:
            with self._reaching():
                self._find_bucket(make=place.anew or not place.existing)

    def put(self, asset: str, file: BinaryIO) -> None:
        """Send `file` from where it stands, unless an object of its size is there.

        Raises:
            BadInputError: the bytes don't hash to `asset` (changing), or `file` can't be read
                (unreadable); what was there before is left then.
            StoreUnreachableError: read-only, no answer, no access, no room.
            ValueError: `asset` is not a SHA-256 in hex.
        """
        if not _ASSET.fullmatch(asset):
            raise ValueError(f"an asset is named by 64 hex digits, not {asset!r}")
        source = Hashed(file, asset)
        with self._writing():
            size = left(file)
            if size is not None and size <= PART_BYTES:
                self._put_whole(asset, whole(source, size))
            elif size is not None and size == self._size(asset):
                while source.read(CHUNK_BYTES):
                    pass
            else:
                self._client.put_object(
                    self._at.bucket,
                    self._key(asset),
                    cast("BinaryIO", source),
                    length=-1,
                    part_size=PART_BYTES,
                    num_parallel_uploads=1,
                )

    def open(self, asset: str) -> BinaryIO:
        """The stored copy, read range by range, or FileNotFoundError."""
        first, size = self._fetch(asset, 0, AHEAD_BYTES)
        raw = Ranges(first, size, lambda start, length: self._fetch(asset, start, length)[0])
        return io.BufferedReader(raw, max(1, min(size, AHEAD_BYTES)))

    def delete(self, asset: str) -> None:
        """Delete all versions of the stored copy, if there is one."""
        if not _ASSET.fullmatch(asset):
            return
        bucket, key = self._at.bucket, self._key(asset)
        with self._writing():
            listed = self._client.list_objects(bucket, key, recursive=True, include_version=True)
            for found in [found for found in listed if found.object_name == key]:
                self._client.remove_object(bucket, key, version_id=found.version_id)

    def exists(self, asset: str) -> bool:
        """Whether there is a copy."""
        with self._reaching():
            return self._size(asset) is not None

    def scan(self) -> Iterator[str]:
        """Ids of all copies, sorted."""
        with self._reaching():
            prefix = self._at.prefix
            for found in self._client.list_objects(self._at.bucket, prefix, recursive=True):
                asset = (found.object_name or "").rpartition("/")[2]
                if _ASSET.fullmatch(asset) and found.object_name == self._key(asset):
                    yield asset

    def service(self) -> Service:
        """What the server calls itself; it counts nothing without listing everything."""
        with self._reaching():
            answer = self._client._execute("HEAD", self._at.bucket)  # no public method gives it
        words = answer.headers.get("Server", "").replace("/", " ").split()
        versions = [word for word in words[1:] if _VERSION.fullmatch(word)]
        return Service(words[0] if words else "S3", versions[-1] if versions else "")

    def close(self) -> None:
        """Let go of the connections."""
        self._http.clear()

    def _key(self, asset: str) -> str:
        return f"{self._at.prefix}{asset[:2]}/{asset}"

    def _put_whole(self, asset: str, data: bytes) -> None:
        if not self._asks and self._put_new(asset, data):
            return
        held = self._size(asset)
        self._asks = held is not None or not self._conditions
        if held != len(data):
            self._client._put_object(self._at.bucket, self._key(asset), data)

    def _put_new(self, asset: str, data: bytes) -> bool:
        """Send it unless there is one; whether there was none."""
        try:
            # No public method takes a condition.
            headers = {"If-None-Match": "*"}
            self._client._put_object(self._at.bucket, self._key(asset), data, dict(headers))
        except S3Error as error:
            if error.code == "NotImplemented":
                self._conditions = False
            elif error.code not in _THERE:
                raise
            return False
        return True

    def _size(self, asset: str) -> int | None:
        """Bytes of the stored copy; None when there is none."""
        if not _ASSET.fullmatch(asset):
            return None
        try:
            return self._client.stat_object(self._at.bucket, self._key(asset)).size
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
        self._must_be_there()
        return None

    def _fetch(self, asset: str, start: int, length: int) -> tuple[bytes, int]:
        """Bytes from `start`, at most `length`, and how many the stored copy has in all."""
        if not _ASSET.fullmatch(asset):
            raise self._absent(asset)
        with self._reaching():
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return self._get(self._key(asset), start, length)
                except S3Error as error:
                    if error.code != "NoSuchKey":
                        raise
                    self._must_be_there()
                    raise self._absent(asset) from error
                except HTTPError as error:
                    if isinstance(error, MaxRetryError) or attempt == ATTEMPTS:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _get(self, key: str, start: int, length: int) -> tuple[bytes, int]:
        try:
            answer = self._client.get_object(self._at.bucket, key, offset=start, length=length)
        except S3Error as error:
            if error.code == "InvalidRange" and not start:
                return b"", 0  # there is no range of an empty object
            raise
        try:
            size = int(answer.headers["Content-Range"].rpartition("/")[2])
            return answer.read(), size
        except KeyError:
            raise MinioException("no range is given of an object") from None
        finally:
            answer.close()
            answer.release_conn()

    def _must_be_there(self) -> None:
        """The answer of a missing object is the same when it's the bucket that is missing."""
        if not self._is_there:
            self._find_bucket(make=False)

    def _find_bucket(self, *, make: bool) -> None:
        if not self._client.bucket_exists(self._at.bucket):
            if not make:
                raise self._no_bucket()
            self._make_bucket()
        self._is_there = True

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._at.bucket, self._at.region)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # by another writer, meanwhile
                raise

    def _sweep(self) -> None:
        """Erase the parts of uploads that never ended: nothing lists them, and they hold bytes."""
        bucket = self._at.bucket
        # The client has no public method for this.
        begun = self._client._list_multipart_uploads(bucket, prefix=self._at.prefix)
        for upload in begun.uploads:
            told = upload.object_name or ""
            key = self._key(told.rpartition("/")[2])
            # Not every server escapes a "+" in a list, and the client reads it as a space.
            if upload.upload_id and told in (key, key.replace("+", " ")):
                self._client._abort_multipart_upload(bucket, key, upload.upload_id)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._read_only:
            raise StoreUnreachableError(
                f"The {self._at} is open for reading only.",
                advice="Open the collection for writing.",
            )
        with self._reaching():
            if not self._is_swept:
                self._sweep()
                self._is_swept = True
            yield

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn what the client raises into what a user can act upon."""
        try:
            self._provider.retrieve()
        except (ValueError, configparser.Error):
            raise StoreUnreachableError(
                f"There are no credentials for the {self._at}.", advice=CREDENTIALS
            ) from None  # the cause may quote them
        try:
            yield
        except (MinioException, HTTPError, ParseError, ValueError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> EcholensError:
        where = f"The {self._at}"
        if isinstance(error, S3Error) and error.code:
            if error.code == "NoSuchBucket":
                return self._no_bucket()
            said = f"{error.code}: {(error.message or '').rstrip('.')}"
            if error.response.status in (401, 403):
                return StoreUnreachableError(
                    f"{where} refuses access ({said}).", advice=CREDENTIALS
                )
            return StoreUnreachableError(f"{where} answers with an error ({said}).", advice=_RUNS)
        if isinstance(error, HTTPError):
            return StoreUnreachableError(
                f"{where} can't be reached: {cause(error, self._at)}.", advice=_RUNS
            )
        said = str(error).partition(", Body:")[0]
        return StoreUnreachableError(
            f"{where} gives an answer that isn't an S3 server's ({said}).", advice=_RUNS
        )

    def _no_bucket(self) -> CorruptError:
        return CorruptError(
            f"The {self._at} is missing.",
            advice="Bring it back; or make an empty one and run `echolens verify --repair`, and "
            "the next `echolens index` copies again what files still have.",
        )

    def _absent(self, asset: str) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._key(asset))
