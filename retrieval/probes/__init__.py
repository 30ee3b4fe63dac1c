"""Built-in inputs that show whether an encoder still gives the vectors that it gave before.

Gets: an encoder, or vectors. Gives: probe vectors, or an `EncoderMismatchError` that says what is
wrong. Touches: ``probes.npz`` in the collection's folder. Never: the user's files, a network.

An encoder can go wrong without any error: other weights under the same name, channels swapped from
RGB to BGR, a device that computes nonsense, an export that lost a layer. Such vectors look like any
others and only the answers get worse. So a new channel's encoder encodes a few inputs of every
modality that its space takes, once in each role, and their vectors are kept. Opening for writing
encodes one of them again, and so does the first query, in its own batch:

    probe, row = query_probe("text")
    vectors = encoder.encode("text", [*texts, probe], role="query")
    check_vectors(stored[row : row + 1], vectors[-1:], where=url)

The pictures differ left from right, top from bottom and red from blue, so that a flip, a transposed
array or swapped channels show.

The background sentences have nothing to do with anybody's files: the scores that they get are what
a score means when there is nothing to find.
"""

from __future__ import annotations

from .checks import (
    background,
    check_degenerate,
    check_encoder,
    check_vectors,
    encode_probes,
    make_probes,
    probe_key,
    query_probe,
)
from .files import read_probes, write_probes
from .inputs import background_sentences, probe_inputs

__all__ = [
    "background",
    "background_sentences",
    "check_degenerate",
    "check_encoder",
    "check_vectors",
    "encode_probes",
    "make_probes",
    "probe_inputs",
    "probe_key",
    "query_probe",
    "read_probes",
    "write_probes",
]
