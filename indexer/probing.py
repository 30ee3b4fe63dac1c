"""The probes of a collection's encoders, made anew: for a new channel, or when they were lost.

Gets: channels. Gives: `Probes`. Touches: the encoders. Never: a file.
"""

from __future__ import annotations

from collections.abc import Iterable

from retrieval import registry
from retrieval.errors import EncoderMismatchError
from retrieval.probes import Probes, make_probes
from retrieval.schema import Channel, Compute, FloatArray


def probes_of(channels: Iterable[Channel], compute: Compute) -> Probes:
    """The probes of the channels' encoders, each of which proves to be the one it was.

    Raises:
        EncoderMismatchError: an encoder gives wrong vectors, or is another by now.
    """
    vectors: dict[str, FloatArray] = {}
    tolerances: dict[str, float] = {}
    for channel in {channel.encoder: channel for channel in channels}.values():
        encoder = registry.open_encoder(channel.encoder, compute)
        if encoder.fingerprint != channel.fingerprint:
            raise EncoderMismatchError(
                f"`{channel.encoder}` isn't the encoder that made `{channel.key}` (fingerprint "
                f"{channel.fingerprint[:12]} then, {encoder.fingerprint[:12]} now).",
                advice="Bring the same weights back, and run the same command again.",
            )
        made = make_probes(encoder)
        vectors.update(made.vectors)
        tolerances.update(made.tolerances)
    return Probes(vectors, tolerances)
