"""What the starter's encoders refuse, in the same words.

Gets: an encoder's name and what it was asked. Gives: what it computes with, or a `UsageError`.
Touches: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import UsageError
from ...schema import Compute


def resolved(scheme: str, location: str, compute: Compute, *, known: Sequence[str]) -> Compute:
    """What an encoder computes with; a location that isn't known is refused, as any other device.

    Raises:
        UsageError: with what may be written instead.
    """
    urls = " or ".join(f"`{scheme}:{name}`" for name in known)
    if location not in known:
        raise UsageError(
            f"There is no `{scheme}:{location}`.",
            advice=f"Write {urls}, or see `echolens encoders` for encoders with models.",
        )
    if compute.device not in ("auto", "cpu") or compute.precision not in ("auto", "int8"):
        raise UsageError(
            f"`{scheme}:` runs on the CPU in int8 only, not on {compute}.",
            advice="Leave device and precision out, or choose an `open_clip:` encoder.",
        )
    return Compute("cpu", "int8", compute.threads)


def refuse_modality(scheme: str, modality: str) -> UsageError:
    """The error for a modality that isn't taken."""
    return UsageError(
        f"`{scheme}:` encodes text and image, not {modality}.",
        advice="See `echolens encoders` for what each encoder takes.",
    )
