"""The list of all routes, as the OpenAPI document tells of them. A test holds it to the application's."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from frontdesk.accounts.routes.keys import KeyBody
from frontdesk.accounts.routes.people import UserBody
from frontdesk.accounts.routes.sessions import RefreshBody, SessionBody, UpgradeBody
from frontdesk.batches.routes import BatchBody
from frontdesk.conversations.routes.own import MOST_WORDS_CHARS, ConversationBody
from frontdesk.doors import api_answers as own
from frontdesk.files.form import PURPOSES
from frontdesk.reports.question import DIMENSIONS, MOST_DIMENSIONS, NARROWINGS, STATUSES
from frontdesk.wire import openai_answers as answers
from frontdesk.wire import openai_conversation_answers as stored
from frontdesk.wire import openai_file_answers as files
from frontdesk.wire import openai_media_answers as media
from frontdesk.wire.openai_chat_shapes import ChatCompletionRequest, StoredChatChanges
from frontdesk.wire.openai_conversation_shapes import ConversationAsked, ConversationChanges, ItemsAsked
from frontdesk.wire.openai_embeddings import EmbeddingsAsked
from frontdesk.wire.openai_images import ImageEditAsked, ImageGenerationAsked, ImageVariationAsked
from frontdesk.wire.openai_moderations import ModerationsAsked
from frontdesk.wire.openai_responses_shapes import CompactAsked, Includable, InputTokensAsked, ResponseRequest
from frontdesk.wire.openai_speech import SpeechAsked
from frontdesk.wire.openai_transcripts import TranscriptionAsked, TranslationAsked

_OF_DOORS = (404, 413, 422, 429, 502, 504)
_ANYBODY: tuple[Mapping[str, list[str]], ...] = ({"bearer": []}, {"cookie": []}, {})
_PERSONS: tuple[Mapping[str, list[str]], ...] = ({"bearer": []}, {"cookie": []})
_KEYS: tuple[Mapping[str, list[str]], ...] = ({"bearer": []},)
_NOBODY: tuple[Mapping[str, list[str]], ...] = ()


class Operation(msgspec.Struct, frozen=True):
    """One method of one path. `answers` are by status, `failures` what it fails with beside the usual.

    `query` are parameters beside those of pages; `is_table` where the answer may be CSV as well. `is_form` where what
    is asked comes as a form with files; `contents` are the types of answers that are no JSON. `is_done_once` where the
    header Idempotency-Key counts, as at all doors.
    """

    method: str
    path: str
    name: str
    tag: str
    says: str
    answers: Mapping[int, Any]
    asks: type[msgspec.Struct] | None = None
    events: Any = None
    failures: tuple[int, ...] = ()
    security: tuple[Mapping[str, list[str]], ...] = _PERSONS
    path_parameter: str | None = None
    is_paged: bool = False
    query: tuple[Mapping[str, Any], ...] = ()
    is_table: bool = False
    is_form: bool = False
    contents: tuple[str, ...] = ()
    is_done_once: bool = False


_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_ID = {"type": "string", "minLength": 1, "maxLength": 128}
_TIME = {"type": "string", "examples": ["2026-07-01", "2026-07-01T12:00:00Z"]}
# Those of GET /api/usage.
_OF_USAGE: tuple[Mapping[str, Any], ...] = (
    {
        "name": "from",
        "in": "query",
        "description": "When the range begins, UTC; the month in which it ends where it is left out.",
        "schema": _TIME,
    },
    {
        "name": "to",
        "in": "query",
        "description": "When it ends, which is not part of it; the end of this month where it is left out. At most 366 "
        "days after `from`.",
        "schema": _TIME,
    },
    {
        "name": "group_by",
        "in": "query",
        "description": "What turns are told apart by, up to three of these. `status` and `role` are the turn's: how it "
        "ended, who asked; `purpose` is what an attempt was for: first, retry, fallback, hedge or shadow. A turn "
        "counts in each `provider`, `provider_model` and `purpose` that it tried. Users may group by none of the "
        "three.",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "maxItems": MOST_DIMENSIONS, "uniqueItems": True, "items": {"enum": [*DIMENSIONS]}},
    },
    *(
        {
            "name": name,
            "in": "query",
            "description": f"Only what has this {name}.",
            "schema": {"enum": [*STATUSES]} if name == "status" else _NAME,
        }
        for name in NARROWINGS
    ),
    {
        "name": "format",
        "in": "query",
        "description": "Left out, `Accept` says it: `text/csv`, else JSON. CSV has all groups, so no page of them.",
        "schema": {"enum": ["json", "csv"]},
    },
    {
        "name": "after",
        "in": "query",
        "description": "The id of the group behind which to begin: `last_id` of the page before.",
        "schema": {"type": "string", "minLength": 1},
    },
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}},
)
_OF_FILES: tuple[Mapping[str, Any], ...] = (
    {
        "name": "purpose",
        "in": "query",
        "description": "Only what is for this.",
        "schema": {"enum": [*PURPOSES, "batch_output"]},
    },
    {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"], "default": "desc"}},
    {"name": "after", "in": "query", "description": "The id behind which to begin.", "schema": _ID},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 10_000}},
)
_INCLUDE: Mapping[str, Any] = {
    "name": "include",
    "in": "query",
    "description": "What is told besides; `include[]` is as good.",
    "schema": {"type": "array", "items": {"enum": [*typing.get_args(Includable)]}},
}
_ITEM_ID: Mapping[str, Any] = {
    "name": "item_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}
_OF_ITEMS: tuple[Mapping[str, Any], ...] = (
    {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"], "default": "desc"}},
    _INCLUDE,
)
_OLDEST_FIRST: Mapping[str, Any] = {
    "name": "order",
    "in": "query",
    "schema": {"enum": ["asc", "desc"], "default": "asc"},
}
_OF_CHATS: tuple[Mapping[str, Any], ...] = (
    _OLDEST_FIRST,
    {"name": "model", "in": "query", "description": "Only those of this model.", "schema": {"type": "string"}},
    {
        "name": "metadata",
        "in": "query",
        "description": "Only those that have these, each as `metadata[key]=value`.",
        "style": "deepObject",
        "explode": True,
        "schema": {
            "type": "object",
            "maxProperties": 16,
            "propertyNames": {"minLength": 1, "maxLength": 64},
            "additionalProperties": {"type": "string", "maxLength": 512},
        },
    },
)
_EVENT_NUMBER = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_OF_RETRIEVAL: tuple[Mapping[str, Any], ...] = (
    _INCLUDE,
    {"name": "stream", "in": "query", "schema": {"type": "boolean", "default": False}},
    {
        "name": "starting_after",
        "in": "query",
        "description": "The `sequence_number` of the last event that a stream's reader has; as `Last-Event-ID`.",
        "schema": _EVENT_NUMBER,
    },
    {
        "name": "include_obfuscation",
        "in": "query",
        "description": "Hide in a stream how long the words are.",
        "schema": {"type": "boolean", "default": False},
    },
    {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "As `starting_after`: both are given only where they say the same.",
        "schema": _EVENT_NUMBER,
    },
)

OPERATIONS = (
    Operation(
        "post",
        "/v1/chat/completions",
        "createChatCompletion",
        "OpenAI",
        "Answer a conversation.",
        {200: answers.ChatCompletion},
        asks=ChatCompletionRequest,
        events=answers.ChatCompletionChunk | answers.Error | own.Notice,
        failures=_OF_DOORS,
    ),
    Operation(
        "post",
        "/v1/responses",
        "createResponse",
        "OpenAI",
        "Answer an input. A WebSocket at this path takes many, one by one, and answers with the events as messages: "
        "docs/websockets.md.",
        {200: answers.Response},
        asks=ResponseRequest,
        events=answers.ResponseEvent | own.Notice,
        failures=_OF_DOORS,
    ),
    Operation(
        "post",
        "/v1/responses/{response_id}/cancel",
        "cancelResponse",
        "OpenAI",
        "End a response that is being made, and return it as far as it came; one that has ended, as it is.",
        {200: answers.Response},
        failures=(404,),
        path_parameter="response_id",
    ),
    Operation(
        "get",
        "/v1/responses/{response_id}/input_items",
        "listResponseInput",
        "OpenAI",
        "The items that its request brought, the last one first.",
        {200: stored.ItemList},
        failures=(404,),
        path_parameter="response_id",
        is_paged=True,
        query=_OF_ITEMS,
    ),
    Operation(
        "get",
        "/v1/responses/{response_id}",
        "retrieveResponse",
        "OpenAI",
        "A response that is stored, as far as it came; or its events, from the first one or from behind a cursor, and "
        "all that come.",
        {200: answers.Response},
        events=answers.ResponseEvent,
        failures=(404,),
        path_parameter="response_id",
        query=_OF_RETRIEVAL,
    ),
    Operation(
        "delete",
        "/v1/responses/{response_id}",
        "deleteResponse",
        "OpenAI",
        "Remove a stored response with all that is kept of it. One that is being made is ended first.",
        {200: stored.ResponseDeleted},
        failures=(404, 409),
        path_parameter="response_id",
    ),
    Operation(
        "post",
        "/v1/responses/input_tokens",
        "countInputTokens",
        "OpenAI",
        "How many tokens a request would send: its input, instructions and tools, and what it goes on with. It costs "
        "nothing.",
        {200: stored.InputTokens},
        asks=InputTokensAsked,
        failures=(404, 413),
    ),
    Operation(
        "post",
        "/v1/responses/compact",
        "compactResponse",
        "OpenAI",
        "Make what was said shorter: the user's messages stay as they are, all else becomes one sealed item.",
        {200: stored.CompactedResponse},
        asks=CompactAsked,
        failures=_OF_DOORS,
    ),
    Operation(
        "get",
        "/v1/chat/completions/{completion_id}/messages",
        "listChatCompletionMessages",
        "OpenAI",
        "The messages of its request, the first one first.",
        {200: stored.ChatMessageList},
        failures=(404,),
        path_parameter="completion_id",
        is_paged=True,
        query=(_OLDEST_FIRST,),
    ),
    Operation(
        "get",
        "/v1/chat/completions",
        "listChatCompletions",
        "OpenAI",
        "The caller's own stored chat completions, the oldest first.",
        {200: stored.ChatCompletionList},
        is_paged=True,
        query=_OF_CHATS,
    ),
    Operation(
        "get",
        "/v1/chat/completions/{completion_id}",
        "retrieveChatCompletion",
        "OpenAI",
        "One of them.",
        {200: answers.ChatCompletion},
        failures=(404,),
        path_parameter="completion_id",
    ),
    Operation(
        "post",
        "/v1/chat/completions/{completion_id}",
        "updateChatCompletion",
        "OpenAI",
        "Give it other metadata.",
        {200: answers.ChatCompletion},
        asks=StoredChatChanges,
        failures=(404, 413),
        path_parameter="completion_id",
    ),
    Operation(
        "delete",
        "/v1/chat/completions/{completion_id}",
        "deleteChatCompletion",
        "OpenAI",
        "Delete one of them.",
        {200: stored.ChatCompletionDeleted},
        failures=(404,),
        path_parameter="completion_id",
    ),
    Operation(
        "post",
        "/v1/embeddings",
        "createEmbedding",
        "OpenAI",
        "Turn texts into vectors.",
        {200: answers.EmbeddingList},
        asks=EmbeddingsAsked,
        failures=_OF_DOORS,
    ),
    Operation(
        "post",
        "/v1/moderations",
        "createModeration",
        "OpenAI",
        "Judge texts and pictures.",
        {200: media.JudgementList},
        asks=ModerationsAsked,
        failures=_OF_DOORS,
    ),
    Operation(
        "post",
        "/v1/audio/transcriptions",
        "createTranscription",
        "OpenAI",
        "Write what is said in a recording.",
        {200: media.Transcript | media.VerboseTranscript | media.DiarizedTranscript},
        asks=TranscriptionAsked,
        events=media.TranscriptEvent | answers.Error | own.BudgetNotice,
        failures=_OF_DOORS,
        is_form=True,
        contents=("text/plain", "text/vtt"),
    ),
    Operation(
        "post",
        "/v1/audio/translations",
        "createTranslation",
        "OpenAI",
        "Write in English what is said in a recording.",
        {200: media.Transcript | media.VerboseTranscript},
        asks=TranslationAsked,
        failures=_OF_DOORS,
        is_form=True,
        contents=("text/plain", "text/vtt"),
    ),
    Operation(
        "post",
        "/v1/audio/speech",
        "createSpeech",
        "OpenAI",
        "Speak a text.",
        {200: None},
        asks=SpeechAsked,
        events=media.SpeechEvent | answers.Error | own.BudgetNotice,
        failures=_OF_DOORS,
        contents=("audio/aac", "audio/flac", "audio/mpeg", "audio/ogg", "audio/pcm", "audio/wav"),
    ),
    Operation(
        "post",
        "/v1/images/generations",
        "createImage",
        "OpenAI",
        "Draw pictures of a description.",
        {200: media.PictureList},
        asks=ImageGenerationAsked,
        events=media.GenerationEvent | answers.Error | own.BudgetNotice,
        failures=_OF_DOORS,
    ),
    Operation(
        "post",
        "/v1/images/edits",
        "createImageEdit",
        "OpenAI",
        "Draw pictures out of others.",
        {200: media.PictureList},
        asks=ImageEditAsked,
        events=media.EditEvent | answers.Error | own.BudgetNotice,
        failures=_OF_DOORS,
        is_form=True,
    ),
    Operation(
        "post",
        "/v1/images/variations",
        "createImageVariation",
        "OpenAI",
        "Draw pictures like one.",
        {200: media.PictureList},
        asks=ImageVariationAsked,
        failures=_OF_DOORS,
        is_form=True,
    ),
    Operation(
        "post",
        "/v1/files",
        "createFile",
        "OpenAI",
        "Keep a file. Requests may name it by its id, and batches are made of it. Its size has a limit of its own.",
        {200: files.File},
        asks=files.FileForm,
        failures=(413,),
        is_form=True,
        is_done_once=True,
    ),
    Operation(
        "get",
        "/v1/files",
        "listFiles",
        "OpenAI",
        "The caller's own files, the latest first.",
        {200: files.FileList},
        query=_OF_FILES,
    ),
    Operation(
        "get",
        "/v1/files/{file_id}/content",
        "downloadFile",
        "OpenAI",
        "Its bytes.",
        {200: None},
        failures=(404,),
        path_parameter="file_id",
        contents=("application/octet-stream",),
    ),
    Operation(
        "get",
        "/v1/files/{file_id}",
        "retrieveFile",
        "OpenAI",
        "One of them.",
        {200: files.File},
        failures=(404,),
        path_parameter="file_id",
    ),
    Operation(
        "delete",
        "/v1/files/{file_id}",
        "deleteFile",
        "OpenAI",
        "Delete one of them.",
        {200: files.FileDeleted},
        failures=(404,),
        path_parameter="file_id",
    ),
    Operation(
        "post",
        "/v1/batches",
        "createBatch",
        "OpenAI",
        "Ask the requests of a file, one a line, within 24 hours and while nobody waits: docs/batches.md.",
        {200: files.Batch},
        asks=BatchBody,
        failures=(413, 429),
        is_done_once=True,
    ),
    Operation(
        "get",
        "/v1/batches",
        "listBatches",
        "OpenAI",
        "The caller's own batches, the latest first.",
        {200: files.BatchList},
        is_paged=True,
    ),
    Operation(
        "get",
        "/v1/batches/{batch_id}",
        "retrieveBatch",
        "OpenAI",
        "One of them.",
        {200: files.Batch},
        failures=(404,),
        path_parameter="batch_id",
    ),
    Operation(
        "post",
        "/v1/batches/{batch_id}/cancel",
        "cancelBatch",
        "OpenAI",
        "End one of them: what was answered by then is in its files.",
        {200: files.Batch},
        failures=(404,),
        path_parameter="batch_id",
        is_done_once=True,
    ),
    Operation(
        "post",
        "/v1/conversations",
        "createConversation",
        "OpenAI",
        "Keep a conversation, with some items or none: docs/conversations.md.",
        {200: stored.Conversation},
        asks=ConversationAsked,
        failures=(413,),
        is_done_once=True,
    ),
    Operation(
        "get",
        "/v1/conversations/{conversation_id}",
        "retrieveConversation",
        "OpenAI",
        "One of the caller's own.",
        {200: stored.Conversation},
        failures=(404,),
        path_parameter="conversation_id",
    ),
    Operation(
        "post",
        "/v1/conversations/{conversation_id}",
        "updateConversation",
        "OpenAI",
        "Give it other metadata.",
        {200: stored.Conversation},
        asks=ConversationChanges,
        failures=(404, 413),
        path_parameter="conversation_id",
        is_done_once=True,
    ),
    Operation(
        "delete",
        "/v1/conversations/{conversation_id}",
        "deleteConversation",
        "OpenAI",
        "Remove it with its items. Responses that were made in it stay.",
        {200: stored.ConversationDeleted},
        failures=(404,),
        path_parameter="conversation_id",
    ),
    Operation(
        "post",
        "/v1/conversations/{conversation_id}/items",
        "createConversationItems",
        "OpenAI",
        "Put items behind those of the chosen branch, and return them.",
        {200: stored.ItemList},
        asks=ItemsAsked,
        failures=(404, 409, 413),
        path_parameter="conversation_id",
        query=(_INCLUDE,),
        is_done_once=True,
    ),
    Operation(
        "get",
        "/v1/conversations/{conversation_id}/items",
        "listConversationItems",
        "OpenAI",
        "The items of its chosen branch.",
        {200: stored.ItemList},
        failures=(404,),
        path_parameter="conversation_id",
        is_paged=True,
        query=_OF_ITEMS,
    ),
    Operation(
        "get",
        "/v1/conversations/{conversation_id}/items/{item_id}",
        "retrieveConversationItem",
        "OpenAI",
        "One of its items, of whatever branch.",
        {200: own.KeptItem},
        failures=(404,),
        path_parameter="conversation_id",
        query=(_ITEM_ID, _INCLUDE),
    ),
    Operation(
        "delete",
        "/v1/conversations/{conversation_id}/items/{item_id}",
        "deleteConversationItem",
        "OpenAI",
        "Remove one of its items, and return the conversation. What follows on it stays.",
        {200: stored.Conversation},
        failures=(404,),
        path_parameter="conversation_id",
        query=(_ITEM_ID,),
    ),
    Operation(
        "get",
        "/v1/models",
        "listModels",
        "OpenAI",
        "The models that this caller may use.",
        {200: answers.ModelList},
    ),
    Operation(
        "get",
        "/v1/models/{model}",
        "retrieveModel",
        "OpenAI",
        "One of them.",
        {200: answers.Model},
        failures=(404,),
        path_parameter="model",
    ),
    Operation(
        "post",
        "/api/sessions",
        "createSession",
        "Sessions",
        "Begin a session: of any user, by a secret key; of the same user, by a token of an identity provider; where "
        "it is allowed, of somebody new, by anybody. A session's own token begins none, but goes into a cookie.",
        {200: own.Session},
        asks=SessionBody,
        failures=(413, 429),
        security=_ANYBODY,
        is_done_once=True,
    ),
    Operation(
        "delete",
        "/api/sessions",
        "endAllSessions",
        "Sessions",
        "End all sessions of all users, and all that identity providers issued until now.",
        {200: own.AllSessionsEnded},
        security=_KEYS,
    ),
    Operation(
        "post",
        "/api/sessions/refresh",
        "refreshSession",
        "Sessions",
        "Go on with a session: its refresh token, in the body or in its cookie, is the credential.",
        {200: own.Session},
        asks=RefreshBody,
        failures=(401, 403, 413, 503),
        security=_NOBODY,
    ),
    Operation(
        "get",
        "/api/sessions/refresh",
        "csrfToken",
        "Sessions",
        "The CSRF token of the session in the refresh cookie, for a page that was away until its token ended.",
        {200: own.CsrfToken},
        failures=(401,),
        security=_NOBODY,
    ),
    Operation(
        "post",
        "/api/sessions/upgrade",
        "upgradeSession",
        "Sessions",
        "Give all that an anonymous person has to the user who signed in. The anonymous sessions end.",
        {200: own.Upgrade},
        asks=UpgradeBody,
        failures=(413,),
        is_done_once=True,
    ),
    Operation(
        "get",
        "/api/sessions/current",
        "currentSession",
        "Sessions",
        "The session that asks; for one in a cookie its CSRF token as well.",
        {200: own.CurrentSession},
    ),
    Operation(
        "delete",
        "/api/sessions/{session_id}",
        "endSession",
        "Sessions",
        "End a session: any by a secret key, one of their own by a user, `current` for the one that asks.",
        {200: own.SessionEnded},
        failures=(404,),
        path_parameter="session_id",
    ),
    Operation(
        "get",
        "/api/users/{user}/sessions",
        "listSessionsOfUser",
        "Sessions",
        "The sessions of a user that hold, the latest first: of any by a secret key, their own by a user.",
        {200: own.SessionList},
        failures=(404,),
        path_parameter="user",
        is_paged=True,
    ),
    Operation(
        "delete",
        "/api/users/{user}/sessions",
        "endSessionsOfUser",
        "Sessions",
        "End all sessions of a user, and all that their identity provider issued until now.",
        {200: own.SessionsEnded},
        failures=(404,),
        path_parameter="user",
    ),
    Operation(
        "get",
        "/api/conversations",
        "listConversations",
        "Conversations",
        "The caller's own conversations, or those in which some words stand: pinned ones first, then what changed "
        "last.",
        {200: own.OwnConversationList},
        is_paged=True,
        query=(
            {
                "name": "q",
                "in": "query",
                "description": "Words that stand in its title or in an item, together and in this order.",
                "schema": {"type": "string", "maxLength": MOST_WORDS_CHARS},
            },
        ),
    ),
    Operation(
        "get",
        "/api/conversations/{conversation_id}",
        "conversation",
        "Conversations",
        "One of them.",
        {200: own.OwnConversation},
        failures=(404,),
        path_parameter="conversation_id",
    ),
    Operation(
        "patch",
        "/api/conversations/{conversation_id}",
        "changeConversation",
        "Conversations",
        "Name it, pin it, or choose a branch.",
        {200: own.OwnConversation},
        asks=ConversationBody,
        failures=(404, 409, 413),
        path_parameter="conversation_id",
    ),
    Operation(
        "get",
        "/api/conversations/{conversation_id}/branches",
        "listBranches",
        "Conversations",
        "Its branches: there are at most 100.",
        {200: own.ConversationBranchList},
        failures=(404,),
        path_parameter="conversation_id",
    ),
    Operation(
        "get",
        "/api/conversations/{conversation_id}/items",
        "listPlacedItems",
        "Conversations",
        "Items of a branch or of all, and what is around each.",
        {200: own.PlacedItemList},
        failures=(404,),
        path_parameter="conversation_id",
        is_paged=True,
        query=(
            {
                "name": "branch",
                "in": "query",
                "description": "The chosen one where it is left out; `all` has those of each branch that are its own, "
                "branch by branch.",
                "schema": {"anyOf": [{"type": "integer", "minimum": 0}, {"const": "all"}]},
            },
            *_OF_ITEMS,
        ),
    ),
    Operation(
        "get",
        "/api/me",
        "me",
        "Sessions",
        "Who asks, what they may, how much of it is left and until when, and what works as it is.",
        {200: own.MeAsUser | own.MeAsKey},
    ),
    Operation(
        "get",
        "/api/usage",
        "usage",
        "Usage",
        "What was used and what it cost, in groups: of all by a secret key, their own by a user. A turn and its "
        "attempts count when the turn began.",
        {200: own.UsageList},
        failures=(404,),
        query=_OF_USAGE,
        is_table=True,
    ),
    Operation(
        "get",
        "/api/admin/users",
        "listUsers",
        "Operators",
        "The users, in order of their ids.",
        {200: own.UserList},
        security=_KEYS,
        is_paged=True,
    ),
    Operation(
        "get",
        "/api/admin/users/{user}",
        "retrieveUser",
        "Operators",
        "One of them.",
        {200: own.User},
        failures=(404,),
        security=_KEYS,
        path_parameter="user",
    ),
    Operation(
        "patch",
        "/api/admin/users/{user}",
        "changeUser",
        "Operators",
        "Give a user a tier over all that others say of them, or take it back with null.",
        {200: own.User},
        asks=UserBody,
        failures=(404, 413),
        security=_KEYS,
        path_parameter="user",
    ),
    Operation(
        "get",
        "/api/admin/keys",
        "listKeys",
        "Operators",
        "The secret keys that were not revoked, the newest first.",
        {200: own.KeyList},
        security=_KEYS,
        is_paged=True,
    ),
    Operation(
        "post",
        "/api/admin/keys",
        "createKey",
        "Operators",
        "Make a secret key, which may no more than the one that makes it.",
        {200: own.NewKey},
        asks=KeyBody,
        failures=(413,),
        security=_KEYS,
        is_done_once=True,
    ),
    Operation(
        "delete",
        "/api/admin/keys/{key_id}",
        "revokeKey",
        "Operators",
        "Revoke a secret key.",
        {200: own.KeyRevoked},
        failures=(404,),
        security=_KEYS,
        path_parameter="key_id",
    ),
    Operation(
        "get",
        "/api/admin/prices",
        "listPrices",
        "Operators",
        "What each configured route costs now.",
        {200: own.PriceList},
        security=_KEYS,
    ),
    Operation(
        "get",
        "/api/admin/prices/{route}",
        "retrievePrice",
        "Operators",
        "What one of them costs now, and what it cost since when.",
        {200: own.RoutePriceWithHistory},
        failures=(404,),
        security=_KEYS,
        path_parameter="route",
    ),
    Operation(
        "get",
        "/api/admin/routes",
        "listRoutes",
        "Operators",
        "How each configured route is in this process, as its traffic tells.",
        {200: own.RouteList},
        security=_KEYS,
    ),
    Operation(
        "get",
        "/api/admin/alerts",
        "listAlerts",
        "Operators",
        "What was told of budgets, the latest first.",
        {200: own.AlertList},
        security=_KEYS,
        is_paged=True,
    ),
    Operation(
        "get",
        "/api/bootstrap",
        "bootstrap",
        "Start and health",
        "What a client needs to know at its start.",
        {200: own.Bootstrap},
        security=_NOBODY,
    ),
    Operation(
        "get", "/healthz", "healthz", "Start and health", "The process answers.", {200: own.Health}, security=_NOBODY
    ),
    Operation(
        "get",
        "/readyz",
        "readyz",
        "Start and health",
        "The process can serve; how many of its routes and local models are well.",
        {200: own.Readiness, 503: own.Readiness},
        security=_NOBODY,
    ),
    Operation(
        "get",
        "/openapi.json",
        "openapi",
        "Start and health",
        "This document.",
        {200: dict[str, Any]},
        security=_NOBODY,
    ),
)
