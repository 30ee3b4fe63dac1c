"""PyAV, asked for in one place, so that who hasn't got it is told what to install.

Gets: nothing. Gives: the module and what of it others name. Touches: ``import``. Never: anything
else. FFmpeg's own words are kept from the user.
"""

from __future__ import annotations

from retrieval.errors import NotInstalledError

try:
    import av
    from av.stream import Discard, Disposition
    from av.video.reformatter import Interpolation, VideoReformatter
except ModuleNotFoundError as error:
    if error.name != "av":
        raise
    raise NotInstalledError(
        "Films and recordings need the package `av`, which is not installed.",
        advice="pip install 'echolens[video]'",
    ) from error

__all__ = ["Discard", "Disposition", "Interpolation", "VideoReformatter", "av"]

av.logging.set_level(None)
