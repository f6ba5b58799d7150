"""The one place that imports onnxruntime: its telemetry stays off, and it prints nothing."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

#: What onnxruntime reads when it is imported. A value that the user has set is left as it is.
TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"
#: Its exceptions say what is wrong; what it would print beside them breaks ``--json-log``.
FATAL_ONLY = 4


def load_onnxruntime(submodule: str = "") -> ModuleType:
    """Import onnxruntime, or one of its submodules.

    Its wheels write a device id and a database of events below the user's cache folder, and send
    them, unless they are told not to before the import.

    Parameters
    ----------
    submodule : str
        Such as ``quantization``; empty for the package itself.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is not installed, or cannot be loaded.
    """
    user_decides = TELEMETRY_SWITCH in os.environ
    os.environ.setdefault(TELEMETRY_SWITCH, "1")
    loaded_before = "onnxruntime" in sys.modules
    package = importlib.import_module("onnxruntime")
    if not loaded_before:
        # A host process that has loaded it already has its own idea of what to print.
        package.set_default_logger_severity(FATAL_ONLY)
    elif not user_decides:
        package.disable_telemetry_events()
    return importlib.import_module(f"onnxruntime.{submodule}") if submodule else package
