from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # It reads its tables as importlib.resources was once read, as it is imported.
    warnings.filterwarnings("ignore", "open_binary is deprecated", DeprecationWarning)
    import bpe_openai  # noqa: F401
