"""Built-in inputs that show whether an encoder still gives the vectors that it gave before.

Gets: an encoder, or vectors. Gives: probe vectors, or an `EncoderMismatchError` that says what is
wrong. Touches: ``probes.npz`` in the collection's folder. Never: the user's files, a network.

An encoder can go wrong without any error: other weights under the same name, channels swapped from
RGB to BGR, a device that computes nonsense, an export that lost a layer. Such vectors look like any
others and only the answers get worse. So a new channel's encoder encodes a few inputs of every
modality that its space takes, each alone and once in each role, and their vectors are kept
(`make_probes`). Opening for writing encodes all of them again in one batch (`check_encoder`), and
the first query takes one along in its own batch (`encode_with_probe`). Which cosine is still the
same vector was measured, and is kept beside the vectors for each precision.

The pictures differ left from right, top from bottom and red from blue, so that a flip, a transposed
array or swapped channels show; the sounds differ in rate and are no palindromes, so that a wrong
rate and a reversed order show.

The background sentences have nothing to do with anybody's files: the scores that they get are what
a score means when there is nothing to find.
"""

from __future__ import annotations

from .checks import background, check_degenerate, check_nearest, check_vectors, same_as
from .encoders import (
    check_encoder,
    encode_probes,
    encode_with_probe,
    make_probes,
    measured_tolerance,
)
from .files import dump_probes, load_probes, read_probes, write_probes
from .inputs import background_sentences, probe_inputs
from .record import Probes, probe_key, tolerance_key

__all__ = [
    "Probes",
    "background",
    "background_sentences",
    "check_degenerate",
    "check_encoder",
    "check_nearest",
    "check_vectors",
    "dump_probes",
    "encode_probes",
    "encode_with_probe",
    "load_probes",
    "make_probes",
    "measured_tolerance",
    "probe_inputs",
    "probe_key",
    "read_probes",
    "same_as",
    "tolerance_key",
    "write_probes",
]
