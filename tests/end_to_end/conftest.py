"""What several end-to-end tests need: stores on all three servers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.services.elasticsearch import ElasticsearchServer
from tests.services.milvus import MilvusServer
from tests.services.s3 import S3Server


@pytest.fixture
def stores(
    milvus_session: MilvusServer,
    elasticsearch_session: ElasticsearchServer,
    s3_server: S3Server,
) -> Iterator[dict[str, str]]:
    """Options that make a collection on all three servers."""
    name = f"team{uuid.uuid4().hex}"
    yield {
        "--vectors": milvus_session.url(name),
        "--documents": elasticsearch_session.url(),
        "--assets": s3_server.url(),
    }
    milvus_session.drop(name)
