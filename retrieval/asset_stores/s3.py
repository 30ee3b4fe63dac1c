"""The asset store `s3://`: copies of the assets in a bucket, each an object named by its hash.

Gets: asset ids and bytes. Gives: open files. Touches: the objects ``PREFIX/aa/<asset>`` of the
URL's bucket; credentials, which the client finds in the environment or in AWS' file of them.
Never: a secret in a URL or a message; an object that it didn't write.

The URL is ``s3://BUCKET/PREFIX?endpoint=https://host:port&region=name``; all but the bucket may be
left out, and the endpoint is then AWS. A prefix belongs to one collection.

An asset is hashed while it is sent, and its last bytes are sent only once the hash is right, so an
object under its own name is always whole. The parts that a killed writer has sent of a large one
are swept when the next one opens. Deleting takes every version of an object.

A reader asks nothing until it needs an asset: a search goes on while the server is down.
"""

from __future__ import annotations

import configparser
import errno
import hashlib
import io
import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree.ElementTree import ParseError

import certifi
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider
from minio.error import MinioException, S3Error
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from ..errors import BadInputError, CorruptError, EcholensError, StoreUnreachableError, UsageError
from ..protocols import Locate, Place
from ..schema import SkipReason

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

AWS = "https://s3.amazonaws.com"
CONNECT_SECONDS = 5
READ_SECONDS = 60
CHUNK_BYTES = 2**20
PART_BYTES = 16 * 2**20  # sent at once; 10,000 of them are the most that an object may have
AHEAD_BYTES = 4 * 2**20  # of a file that is read bit by bit
ATTEMPTS = 3  # at a body that breaks off; requests have retries of their own

_ASSET = re.compile(r"[0-9a-f]{64}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(r"(https?)://((?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?)/?", re.I)
_MOST_PREFIX_BYTES = 900  # a key has at most 1,024
_FORM = "Write it like `s3://BUCKET/PREFIX?endpoint=https://host:port&region=name`."
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials. They must allow "
    "to list the bucket, its versions and uploads, and to read, write and delete objects in it."
)
_RUNS = "Check the endpoint and that its server runs; then run the same command again."


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says: ``prefix`` is "" or ends in a slash, ``endpoint`` has no path."""

    bucket: str
    prefix: str = ""
    endpoint: str = AWS
    region: str | None = None

    def __str__(self) -> str:
        return f"the bucket `{self.bucket}` at {self.endpoint}"


def parse(url: str) -> Address:
    """The address of an ``s3://`` URL.

    Raises:
        UsageError: it isn't of that form, or carries a secret, which the message doesn't repeat.
    """
    if "@" in unquote(url):
        raise UsageError("An `s3:` URL has no user and no password in it.", advice=_CREDENTIALS)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError("The `s3:` URL can't be read.", advice=_FORM) from error
    if not _BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise UsageError(
            "An `s3:` URL names a bucket first: 3 to 63 of a-z, 0-9, dots and hyphens.",
            advice=_FORM,
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - {"endpoint", "region"}:
        raise UsageError(f"An `s3:` URL has no option `{min(unknown)}`.", advice=_FORM)
    endpoint = _ENDPOINT.fullmatch(options.get("endpoint", AWS))
    if endpoint is None:
        raise UsageError("An `s3:` URL has an endpoint with http:// or https://.", advice=_FORM)
    return Address(
        bucket=parts.netloc,
        prefix=_prefix(unquote(parts.path)),
        endpoint=f"{endpoint[1].lower()}://{endpoint[2]}",
        region=options.get("region") or None,
    )


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    names = prefix.split("/")
    if not prefix.isprintable() or any(name in ("", ".", "..") for name in names):
        raise UsageError("The prefix of an `s3:` URL has an odd part.", advice=_FORM)
    if len(prefix.encode("utf-8", "replace")) > _MOST_PREFIX_BYTES:
        raise UsageError("The prefix of an `s3:` URL is too long.", advice="Take a shorter one.")
    return f"{prefix}/"


class S3Store:
    """An `AssetStore` of objects; see the protocol for what each method promises."""

    copies = True

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
        self._provider = ChainedProvider([EnvAWSProvider(), AWSConfigProvider()])
        self._http = _http(self._at)
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
                self._sweep()

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
        source = _Hashed(file, asset)
        with self._writing():
            held = self._size(asset)
            if held is not None and held == _left(file):
                while source.read(CHUNK_BYTES):
                    pass
                return
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
        with self._reaching():
            size = self._size(asset)
        if size is None:
            raise self._absent(asset)
        raw = _Ranges(lambda start, length: self._fetch(asset, start, length), size)
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

    def close(self) -> None:
        """Let go of the connections."""
        self._http.clear()

    def _key(self, asset: str) -> str:
        return f"{self._at.prefix}{asset[:2]}/{asset}"

    def _size(self, asset: str) -> int | None:
        """Bytes of the stored copy; None when there is none."""
        if not _ASSET.fullmatch(asset):
            return None
        try:
            return self._client.stat_object(self._at.bucket, self._key(asset)).size
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
        if not self._is_there:  # the answer is the same when it's the bucket that is missing
            self._find_bucket(make=False)
        return None

    def _fetch(self, asset: str, start: int, length: int) -> bytes:
        with self._reaching():
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return self._get(self._key(asset), start, length)
                except S3Error as error:
                    if error.code == "NoSuchKey":
                        raise self._absent(asset) from error
                    raise
                except HTTPError as error:
                    if isinstance(error, MaxRetryError) or attempt == ATTEMPTS:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _get(self, key: str, start: int, length: int) -> bytes:
        answer = self._client.get_object(self._at.bucket, key, offset=start, length=length)
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

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
            key = upload.object_name or ""
            if upload.upload_id and key == self._key(key.rpartition("/")[2]):
                self._client._abort_multipart_upload(bucket, key, upload.upload_id)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._read_only:
            raise StoreUnreachableError(
                f"{_first_upper(self._at)} is open for reading only.",
                advice="Open the collection for writing.",
            )
        with self._reaching():
            yield

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn what the client raises into what a user can act upon."""
        try:
            self._provider.retrieve()
        except (ValueError, configparser.Error):
            raise StoreUnreachableError(
                f"There are no credentials for {self._at}.", advice=_CREDENTIALS
            ) from None  # the cause may quote them
        try:
            yield
        except (MinioException, HTTPError, ParseError, ValueError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> EcholensError:
        where = _first_upper(self._at)
        if isinstance(error, S3Error) and error.code:
            if error.code == "NoSuchBucket":
                return self._no_bucket()
            said = f"{error.code}: {(error.message or '').rstrip('.')}"
            if error.response.status in (401, 403):
                return StoreUnreachableError(
                    f"{where} refuses access ({said}).", advice=_CREDENTIALS
                )
            return StoreUnreachableError(f"{where} answers with an error ({said}).", advice=_RUNS)
        if isinstance(error, HTTPError):
            return StoreUnreachableError(f"{where} can't be reached: {_why(error)}.", advice=_RUNS)
        said = str(error).partition(", Body:")[0]
        return StoreUnreachableError(
            f"{where} gives an answer that isn't an S3 server's ({said}).", advice=_RUNS
        )

    def _no_bucket(self) -> CorruptError:
        return CorruptError(
            f"{_first_upper(self._at)} is missing.",
            advice="Bring it back; or make an empty one and run `echolens verify --repair`, and "
            "the next `echolens index` copies again what files still have.",
        )

    def _absent(self, asset: str) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._key(asset))


def _http(at: Address) -> PoolManager:
    """Connections whose waits and retries have an end."""
    tls = None
    if at.endpoint.startswith("https:"):  # the system's certificates, and those of the client
        tls = ssl.create_default_context()
        tls.load_verify_locations(certifi.where())
    retries = Retry(
        total=4,
        connect=3,
        read=2,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods=None,  # all: doing any of them again changes nothing
        backoff_factor=0.3,
        backoff_jitter=0.3,
        backoff_max=5,
        raise_on_status=False,  # so that the server's own words are told
        respect_retry_after_header=False,  # which may be an hour
    )
    return PoolManager(
        maxsize=10,
        timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=retries,
        ssl_context=tls,
    )


def _why(error: HTTPError) -> str:
    """The cause in a few words."""
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(cause, NameResolutionError):
        return "there is no host of that name"
    if isinstance(cause, ReadTimeoutError):
        return f"no answer within {READ_SECONDS} seconds"
    if isinstance(cause, SSLError):
        return f"its certificate or its TLS is at fault ({cause})"
    if isinstance(cause, NewConnectionError):  # "...: [Errno 111] Connection refused"
        return str(cause).rpartition("] ")[2].lower()
    if isinstance(cause, ConnectTimeoutError):
        return f"no connection within {CONNECT_SECONDS} seconds"
    return "the connection broke off"


def _first_upper(at: Address) -> str:
    text = str(at)
    return text[0].upper() + text[1:]


def _left(file: BinaryIO) -> int | None:
    """Bytes from where a file stands to its end; None when it can't be sought."""
    try:
        here = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(here)
    except OSError:
        return None
    return end - here


class _Hashed:
    """A file that says at its end whether it was the asset: an upload of another never ends."""

    def __init__(self, file: BinaryIO, asset: str) -> None:
        self._file = file
        self._asset = asset
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as many as there are up to `size`; b"" at the end.

        Raises:
            BadInputError: the file can't be read, or isn't the asset.
        """
        try:
            data = self._file.read(size)
        except OSError as error:
            reason = f"The file can't be read: {error}."
            raise BadInputError(SkipReason.UNREADABLE, reason) from error
        self._digest.update(data)
        if not data and self._digest.hexdigest() != self._asset:
            raise BadInputError(SkipReason.CHANGING, "The file changed while it was copied.")
        return data


class _Ranges(io.RawIOBase):
    """An object's bytes, each read a request; ``fetch(start, length)`` gives them."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._next(self._size)

    def _next(self, most: int) -> bytes:
        length = min(most, self._size - self._at)
        if length <= 0:
            return b""
        data = self._fetch(self._at, length)
        self._at += len(data)
        return data
