"""A session of Frontdesk's, begun as an app's server does."""

from __future__ import annotations

import json
import urllib.request


def begin_session(port: int, admin_key: str) -> str:
    """Begin a session for one user and return its token."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/sessions",
        data=json.dumps({"user": "bench", "tier": "free", "expires_in": 86_400}).encode(),
        headers={"Authorization": f"Bearer {admin_key}"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 - a loopback address
        return json.load(response)["token"]
