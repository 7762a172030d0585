"""The operator's log lines, whatever other suites of the same process have configured before."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture, ReturnLogger


@contextlib.contextmanager
def captured_logs() -> Iterator[list[Any]]:
    """Lines of every level. structlog's own does not see loggers that an earlier configuration cached."""
    capture = LogCapture()
    everything = structlog.make_filtering_bound_logger(0)
    logger = structlog.wrap_logger(ReturnLogger(), processors=[capture], wrapper_class=everything)
    modules = [module for name, module in sys.modules.items() if name.startswith("healthcare_operator.")]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            if hasattr(module, "log"):
                patch.setattr(module, "log", logger)
        yield capture.entries
