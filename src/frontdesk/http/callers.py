"""Who may call what: each route says it in its signature, and `guarded` holds every request to it.

    async def end(self, request: Request, caller: Annotated[Caller, May("server", scope="sessions")]) -> Response: ...

A handler that does not say it cannot be made a route, other than by `open_to_all`.

Who calls is asked twice: before the body is read, so that it is read for nobody who may not call, and when it is
whole. Its sender decides how long that takes, within the patience for slow ones, and whose credential was revoked
meanwhile could else act with it for that long.
"""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from frontdesk.core.errors import Forbidden, Unauthenticated
from frontdesk.http.once import Once
from frontdesk.http.requests import Head
from frontdesk.http.starlette import with_body
from frontdesk.turn.turn import Caller, Role

KeyScope = Literal["turns", "sessions", "users", "keys", "usage", "feedback"]
"""What a secret key may be narrowed to: asking models and ending jobs, sessions, people and their tiers, other keys,
what is used and which jobs there are, what people say of answers.
"""


class Callers(Protocol):
    """Tells who calls."""

    def known(self, head: Head) -> Caller | None:
        """The caller of credentials that were seen before and still hold."""
        ...

    def identify(self, head: Head) -> Awaitable[Caller]:
        """The caller of any credentials. Raises Unauthenticated, Forbidden."""
        ...


class May:
    """Who may call: these roles, and of secret keys those with this scope.

    `or_nobody` lets requests pass as well that have no Authorization and no cookie of somebody: a page
    cannot take back a cookie whose session has ended.
    """

    __slots__ = ("or_nobody", "roles", "scope")

    def __init__(self, *roles: Role, scope: KeyScope | None = None, or_nobody: bool = False) -> None:
        self.roles = frozenset(roles)
        self.scope = scope
        self.or_nobody = or_nobody

    def check(self, caller: Caller) -> None:
        """Raise Forbidden where this caller may not."""
        if caller.role not in self.roles:
            if caller.role == "user":
                raise Forbidden("This needs a secret key; a user's token may not do it.")
            raise Forbidden(
                f"This key has the role {caller.role!r}. Only these may do it: {', '.join(sorted(self.roles))}."
            )
        if self.scope is not None and caller.scopes is not None and self.scope not in caller.scopes:
            raise Forbidden(
                f"This key's scopes are {', '.join(sorted(caller.scopes)) or 'none'}; this needs {self.scope!r}.",
                code="missing_scope",
            )


Handler = Callable[[Request, Any], Awaitable[Response]]


class GuardedRoute(Route):
    """A route that only these may call; `may` is None where everybody may."""

    def __init__(self, path: str, method: str, endpoint: Callable[..., Any], may: May | None) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.may = may


def guarded(path: str, method: str, handler: Handler, callers: Callers, once: Once | None = None) -> GuardedRoute:
    """Make a route whose `caller` is who its handler's signature allows; the others are refused.

    The handler's request has all of its body, which may be small alone. With `once` it is done once where the
    request has a key for that.
    """
    may = may_of(handler, "caller")

    async def serve(request: Request) -> Response:
        head = Head(request.scope)
        await _admitted(callers, head, may)
        request = await with_body(request)
        caller = await _admitted(callers, head, may)
        if once is None or not once.is_for(head, caller):
            return await handler(request, caller)
        assert caller is not None  # as `is_for` says
        return await once.carry(path, request, caller, handler)

    return GuardedRoute(path, method, serve, may)


Admission = Callable[[], Awaitable[Caller]]
"""Asks again who calls. Raises Unauthenticated, Forbidden."""
UploadHandler = Callable[[Request, Any, Admission], Awaitable[Response]]


def guarded_upload(path: str, handler: UploadHandler, callers: Callers, once: Once | None = None) -> GuardedRoute:
    """Make a POST route as `guarded` does, whose handler reads the body itself, of any size.

    So it must ask again who calls when it has read all, before it keeps anything. It hears then as well where that
    was done before: whatever is raised, it lets through.
    """
    may = may_of(handler, "caller")

    async def serve(request: Request) -> Response:
        head = Head(request.scope)

        async def admitted() -> Caller:
            caller = callers.known(head) or await callers.identify(head)
            may.check(caller)
            return caller

        caller = await admitted()
        if once is None or not once.is_for(head, caller):
            return await handler(request, caller, admitted)

        async def carried(request: Request, claimed: Callable[[], Awaitable[None]]) -> Response:
            async def admitted_once() -> Caller:
                caller = await admitted()
                await claimed()
                return caller

            return await handler(request, caller, admitted_once)

        return await once.carry_upload(path, request, caller, carried)

    return GuardedRoute(path, "POST", serve, may)


async def _admitted(callers: Callers, head: Head, may: May) -> Caller | None:
    caller = callers.known(head)
    if caller is None:
        caller = await (_anybody(callers, head) if may.or_nobody else callers.identify(head))
    if caller is not None:
        may.check(caller)
    return caller


async def _anybody(callers: Callers, head: Head) -> Caller | None:
    try:
        return await callers.identify(head)
    except Unauthenticated:
        if head.authorization is not None:
            raise
        return None


def open_to_all(path: str, method: str, handler: Callable[[Request], Awaitable[Response]]) -> GuardedRoute:
    """Make a route that asks for no credential and looks at none."""
    return GuardedRoute(path, method, handler, None)


def may_of(handler: Callable[..., Any], parameter: str) -> May:
    """Who may call, as the annotation of a handler's parameter says it. Raises TypeError where it does not."""
    hint = typing.get_type_hints(handler, include_extras=True).get(parameter)
    for annotation in getattr(hint, "__metadata__", ()):
        if isinstance(annotation, May):
            return annotation
    raise TypeError(f"{handler.__qualname__} does not say who may call it: annotate {parameter!r} with May(...).")
