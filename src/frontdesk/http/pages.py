"""The static pages: the chat app at `/`, with headers that let it load nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECURITY_HEADERS = [
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            b"connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
            b"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(self), geolocation=(self)"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


def pages(folder: Path) -> ASGIApp:
    """Serve the built pages in `folder`; at `/` a sentence instead where they were not built.

    Nothing below /v1 and /api is a page, nor what is asked by another method than GET and HEAD:
    raises HTTPException (404) for those, as for a file that is not there.
    """
    files: ASGIApp = _not_built
    if (folder / "index.html").is_file():
        files = _WithHeaders(StaticFiles(directory=folder, html=True))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD") or _API.match(scope["path"]):
            raise HTTPException(404)
        await files(scope, receive, send)

    return serve


_API = re.compile(r"/(v1|api)(/|\Z)")


async def _not_built(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] != "/":
        raise HTTPException(404)
    words = "Frontdesk is running. The chat page is not built here: 'make run' builds it. The API is at /v1.\n"
    await PlainTextResponse(words)(scope, receive, send)


class _WithHeaders:
    """Adds the security headers, and lets hashed assets be kept for ever."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_hashed = "/assets/" in scope.get("path", "")
        caching = b"public, max-age=31536000, immutable" if is_hashed else b"no-cache"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_SECURITY_HEADERS, (b"cache-control", caching)]
            await send(message)

        await self._app(scope, receive, send_with_headers)
