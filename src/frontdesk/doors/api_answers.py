"""What /api answers, for the OpenAPI document: nothing is written from these. Times are Unix seconds.

Contract tests hold every answer against them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from frontdesk.http.callers import KeyScope


class Session(Struct):
    """A session that began or goes on, with its tokens or, where they are in cookies, its `csrf_token`."""

    id: str
    user: str
    expires_at: int
    refresh_expires_at: int | UnsetType = UNSET
    token: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    csrf_token: str | UnsetType = UNSET


class CurrentSession(Struct):
    """The session, or the token of an identity provider, that asks. `csrf_token` is for sessions in a cookie."""

    id: str
    user: str
    tier: str | None
    expires_at: int
    csrf_token: str | UnsetType = UNSET


class CsrfToken(Struct):
    """What a page must send beside the cookies of this session."""

    id: str
    csrf_token: str


class Upgrade(Struct):
    """`was` has become `user`."""

    object: Literal["upgrade"]
    user: str
    was: str


class SessionListed(Struct):
    """A session that holds. `expires_at` is that of its last token."""

    id: str
    object: Literal["session"]
    user: str
    anonymous: bool
    app: str | None
    refreshable: bool
    created_at: int
    expires_at: int


class SessionList(Struct):
    """A page of a user's sessions, the latest first."""

    object: Literal["list"]
    data: list[SessionListed]
    first_id: str | None
    last_id: str | None
    has_more: bool


class SessionEnded(Struct):
    """A session that ended."""

    id: str
    object: Literal["session"]
    deleted: Literal[True]


class SessionsEnded(Struct):
    """How many sessions of a user ended."""

    user: str
    sessions_ended: int


class AllSessionsEnded(Struct):
    """All sessions of all users ended."""

    object: Literal["sessions"]
    deleted: Literal[True]


class MeAsUser(Struct):
    """A user, and what they may; `features` is null where none are configured."""

    role: Literal["user"]
    id: str
    expires_at: int
    models: list[str]
    user: str
    anonymous: bool
    tier: str | None
    groups: list[str]
    features: list[str] | None
    app: str | None


class MeAsKey(Struct):
    """A secret key, and what it may; `scopes` is null where it may all that its role may."""

    role: Literal["server", "operator", "reviewer"]
    id: str
    expires_at: int | None
    models: list[str]
    scopes: list[KeyScope] | None


class User(Struct):
    """A user. `tier` counts unless a token claims another one; `became` is whom an anonymous one upgraded to."""

    id: str
    object: Literal["user"]
    tier: str | None
    assigned_tier: str | None
    became: str | None
    created_at: int


class UserList(Struct):
    """A page of users, in order of their ids."""

    object: Literal["list"]
    data: list[User]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Key(Struct):
    """A secret key without its secret: `hint` is how it ends."""

    id: str
    object: Literal["key"]
    name: str
    role: Literal["server", "operator", "reviewer"]
    scopes: list[KeyScope] | None
    hint: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class NewKey(Key):
    """A secret key that was made. `key` is shown only here."""

    key: str


class KeyList(Struct):
    """A page of the keys that were not revoked, the newest first."""

    object: Literal["list"]
    data: list[Key]
    first_id: str | None
    last_id: str | None
    has_more: bool


class KeyRevoked(Struct):
    """A key that was revoked."""

    id: str
    object: Literal["key"]
    deleted: Literal[True]


class BootstrapModel(Struct):
    """A model that a new person may chat with."""

    id: str
    title: str


class Bootstrap(Struct):
    """What a client needs to know at its start.

    `features` are those that a new person may name, `default_feature` is the one of requests that name none, and
    `models` are its models for chats. Where one must be named, `models` is empty.
    """

    name: str
    version: str
    development: bool
    anonymous: bool
    features: list[str]
    default_feature: str | None
    default_model: str | None
    models: list[BootstrapModel]


class Health(Struct):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Struct):
    """Whether the process can serve. Local models are told beside, as `model:PROVIDER/MODEL`."""

    status: Literal["ok", "failing"]
    store: Literal["ok", "failing"]
