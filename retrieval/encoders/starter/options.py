"""What the starter's encoders refuse, in the same words.

Gets: an encoder's name and what it was asked. Gives or raises: a `UsageError`. Touches: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import UsageError


def refuse_options(scheme: str, location: str, device: str, *, known: Sequence[str]) -> None:
    """Refuse a location that isn't known, and any device but the CPU.

    Raises:
        UsageError: with what may be written instead.
    """
    urls = " or ".join(f"`{scheme}:{name}`" for name in known)
    if location not in known:
        raise UsageError(
            f"There is no `{scheme}:{location}`.",
            advice=f"Write {urls}, or see `echolens encoders` for encoders with models.",
        )
    if device not in ("auto", "cpu"):
        raise UsageError(
            f"`{scheme}:` runs on the CPU only, but the device is `{device}`.",
            advice="Leave the device out, or choose an `open_clip:` encoder.",
        )


def refuse_modality(scheme: str, modality: str) -> UsageError:
    """The error for a modality that isn't taken."""
    return UsageError(
        f"`{scheme}:` encodes text and image, not {modality}.",
        advice="See `echolens encoders` for what each encoder takes.",
    )
