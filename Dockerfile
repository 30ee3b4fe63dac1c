# Echolens with the clients of all three servers. See docs/servers.md.
FROM python:3.12.12-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/echolens
COPY pyproject.toml README.md LICENSE ./
COPY retrieval retrieval
COPY indexer indexer
COPY cli cli
RUN /opt/echolens/bin/pip install --no-cache-dir ".[elasticsearch,milvus,s3]"

FROM python:3.12.12-slim-bookworm
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/echolens echolens \
    && install -d -o echolens -g echolens /var/lib/echolens
COPY --from=build /opt/echolens /opt/echolens
ENV PATH=/opt/echolens/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/echolens \
    ECHOLENS_HOME=/var/lib/echolens/collections
USER 10001:10001
WORKDIR /var/lib/echolens
VOLUME /var/lib/echolens
ENTRYPOINT ["echolens"]
CMD ["--help"]
