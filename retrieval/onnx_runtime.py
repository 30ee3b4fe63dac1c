"""ONNX models on the CPU: what every encoder that runs one shares.

Gets: a model file. Gives: an open session. Touches: that file; loads onnxruntime when first asked.
Never: falls back to another device or file, prints, or sends telemetry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import CorruptError, NotInstalledError, WeightsMissingError


def open_session(
    path: Path,
    *,
    threads: int | None = None,
    unfold: bool = True,
    advice: str = "Install the package that brings it again.",
) -> Any:
    """Open an ONNX file on the CPU.

    Args:
        path: the model file.
        threads: how many threads one run may use; None leaves it to the runtime.
        unfold: whether what follows from the weights alone (packed weights made float, say) is
            worked out now, for a slower opening and faster runs, or in each run.
        advice: what to do about a missing or damaged file.

    Returns:
        an ``onnxruntime.InferenceSession``.

    Raises:
        NotInstalledError: onnxruntime can't be imported.
        WeightsMissingError: there is no such file.
        CorruptError: the file isn't a model that onnxruntime can run.
    """
    try:
        import onnxruntime
    except ImportError as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error  # Ctrl-C, which its initialisation took for a fault
        raise NotInstalledError(
            f"onnxruntime can't be loaded: {error}.",
            advice="Install it with `pip install onnxruntime`.",
        ) from error
    if not path.is_file():
        raise WeightsMissingError(f"The model file {path} is missing.", advice=advice)
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared
    try:
        return onnxruntime.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=None if unfold else ["ConstantFolding"],
        )
    except Exception as error:  # its exceptions share no base class of its own
        raise CorruptError(
            f"The model file {path} can't be opened: {str(error).splitlines()[0]}",
            advice=advice,
        ) from error
