"""The list of all routes, as the OpenAPI document tells of them. A test holds it to the application's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontdesk.accounts.routes.keys import KeyBody
from frontdesk.accounts.routes.people import UserBody
from frontdesk.accounts.routes.sessions import RefreshBody, SessionBody, UpgradeBody
from frontdesk.conversations.routes.own import MOST_WORDS_CHARS, ConversationBody, ItemBody
from frontdesk.doors import api_answers as own
from frontdesk.doors import api_feedback_answers as feedback
from frontdesk.doors import api_job_answers as jobs
from frontdesk.doors import api_live_answers as live
from frontdesk.doors import api_memory_answers as memory
from frontdesk.doors.api_output_limit_answers import OutputLimitList
from frontdesk.doors.api_receipt_answers import Receipt
from frontdesk.doors.api_sync_answers import SyncAnswered
from frontdesk.doors.openai_operations import ITEM_ID, OF_ITEMS, OPENAI
from frontdesk.doors.operation import ANYBODY, ID, KEYS, NAME, NOBODY, TIME, Operation
from frontdesk.feedback.question import GROUPINGS
from frontdesk.feedback.routes import FeedbackBody
from frontdesk.feedback.rows import RATINGS, REASONS
from frontdesk.feeds.routes.events import USUAL_WAIT_S
from frontdesk.feeds.routes.polls import MOST_WAIT_S
from frontdesk.jobs.store import STATUSES as JOB_STATUSES
from frontdesk.memory.routes import FactBody
from frontdesk.reports.question import DIMENSIONS, MOST_DIMENSIONS, NARROWINGS, STATUSES
from frontdesk.sync.cursor import MOST_CURSOR_CHARS
from frontdesk.sync.shapes import SyncBody

# Those of GET /api/usage.
_RANGE_OF_USAGE: tuple[Mapping[str, Any], ...] = (
    {
        "name": "from",
        "in": "query",
        "description": "When the range begins, UTC; the month in which it ends where it is left out.",
        "schema": TIME,
    },
    {
        "name": "to",
        "in": "query",
        "description": "When it ends, which is not part of it; the end of this month where it is left out. At most 366 "
        "days after `from`.",
        "schema": TIME,
    },
)
_PAGE_OF_USAGE: tuple[Mapping[str, Any], ...] = (
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
_OF_USAGE: tuple[Mapping[str, Any], ...] = (
    *_RANGE_OF_USAGE,
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
            "schema": {"enum": [*STATUSES]} if name == "status" else NAME,
        }
        for name in NARROWINGS
    ),
    *_PAGE_OF_USAGE,
)
# Those of GET /api/usage/output_limits.
_OF_OUTPUT_LIMITS: tuple[Mapping[str, Any], ...] = (
    *_RANGE_OF_USAGE,
    *(
        {"name": name, "in": "query", "description": f"Only what has this {name}.", "schema": NAME}
        for name in ("feature", "model")
    ),
    *_PAGE_OF_USAGE,
)
# Those of streams and polls of what changes.
_OF_EVENTS: tuple[Mapping[str, Any], ...] = (
    {
        "name": "cursor",
        "in": "query",
        "description": "Behind which cursor to begin, of here or of `/api/sync`; from now on where it is left out.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MOST_CURSOR_CHARS},
    },
    {
        "name": "wait",
        "in": "query",
        "description": "For how many seconds a poll waits for something to change.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MOST_WAIT_S, "default": USUAL_WAIT_S},
    },
    {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The `id` of the last event that a stream's reader has: goes before `cursor`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MOST_CURSOR_CHARS},
    },
)
# Those of what reviewers ask of feedback.
_OF_FEEDBACK: tuple[Mapping[str, Any], ...] = (
    {"name": "rating", "in": "query", "description": "Only what has this rating.", "schema": {"enum": [*RATINGS]}},
    {"name": "reason", "in": "query", "description": "Only what has this reason.", "schema": {"enum": [*REASONS]}},
    {"name": "feature", "in": "query", "description": "Only what was said of this feature.", "schema": NAME},
    {"name": "model", "in": "query", "description": "Only what was said of this model.", "schema": NAME},
    {
        "name": "prompt",
        "in": "query",
        "description": "Only what was said of this version of instructions; empty for none.",
        "schema": {"type": "string", "maxLength": 200},
    },
)


def _range_of_feedback(without: str) -> tuple[Mapping[str, Any], ...]:
    """The range in which feedback was said first; `without` is what it is where it is left out."""
    begins = f"When the range begins in which it was said first, UTC; without a range it is {without}."
    return (
        {"name": "from", "in": "query", "description": begins, "schema": TIME},
        {"name": "to", "in": "query", "description": "When it ends, which is not part of it.", "schema": TIME},
    )


_OWN = (
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
        security=ANYBODY,
        is_done_once=True,
    ),
    Operation(
        "delete",
        "/api/sessions",
        "endAllSessions",
        "Sessions",
        "End all sessions of all users, and all that identity providers issued until now.",
        {200: own.AllSessionsEnded},
        security=KEYS,
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
        security=NOBODY,
    ),
    Operation(
        "get",
        "/api/sessions/refresh",
        "csrfToken",
        "Sessions",
        "The CSRF token of the session in the refresh cookie, for a page that was away until its token ended.",
        {200: own.CsrfToken},
        failures=(401,),
        security=NOBODY,
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
            *OF_ITEMS,
        ),
    ),
    Operation(
        "patch",
        "/api/conversations/{conversation_id}/items/{item_id}",
        "changeConversationItem",
        "Conversations",
        "Pin an item, so that every model is told it, or not any more.",
        {200: memory.ChangedItem},
        asks=ItemBody,
        failures=(404, 413),
        path_parameter="conversation_id",
        query=(ITEM_ID,),
    ),
    Operation(
        "get",
        "/api/conversations/{conversation_id}/follow_ups",
        "listFollowUps",
        "Conversations",
        "What may be asked next, where a model writes that.",
        {200: own.ConversationFollowUps},
        failures=(404,),
        path_parameter="conversation_id",
        query=(
            {
                "name": "response_id",
                "in": "query",
                "description": "Those behind this response, and no others.",
                "schema": {"type": "string"},
            },
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
        "/api/usage/output_limits",
        "outputLimits",
        "Usage",
        "How long answers got, against how long they might get, by feature and model, with a limit that would do.",
        {200: OutputLimitList},
        security=KEYS,
        query=_OF_OUTPUT_LIMITS,
        is_table=True,
    ),
    Operation(
        "get",
        "/api/receipts/{response_id}",
        "retrieveReceipt",
        "Usage",
        "What became of a response of one's own, of any to operators: its end, its tokens, and what its model was told "
        "of what came before.",
        {200: Receipt},
        failures=(404,),
        path_parameter="response_id",
    ),
    Operation(
        "get",
        "/api/admin/users",
        "listUsers",
        "Operators",
        "The users, in order of their ids.",
        {200: own.UserList},
        security=KEYS,
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
        security=KEYS,
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
        security=KEYS,
        path_parameter="user",
    ),
    Operation(
        "get",
        "/api/admin/keys",
        "listKeys",
        "Operators",
        "The secret keys that were not revoked, the newest first.",
        {200: own.KeyList},
        security=KEYS,
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
        security=KEYS,
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
        security=KEYS,
        path_parameter="key_id",
    ),
    Operation(
        "get",
        "/api/admin/prices",
        "listPrices",
        "Operators",
        "What each configured route costs now.",
        {200: own.PriceList},
        security=KEYS,
    ),
    Operation(
        "get",
        "/api/admin/prices/{route}",
        "retrievePrice",
        "Operators",
        "What one of them costs now, and what it cost since when.",
        {200: own.RoutePriceWithHistory},
        failures=(404,),
        security=KEYS,
        path_parameter="route",
    ),
    Operation(
        "get",
        "/api/admin/routes",
        "listRoutes",
        "Operators",
        "How each configured route is in this process, as its traffic tells.",
        {200: own.RouteList},
        security=KEYS,
    ),
    Operation(
        "get",
        "/api/admin/alerts",
        "listAlerts",
        "Operators",
        "What was told of budgets, the latest first.",
        {200: own.AlertList},
        security=KEYS,
        is_paged=True,
    ),
    Operation(
        "get",
        "/api/admin/jobs",
        "listJobs",
        "Operators",
        "Work that goes on by itself, the latest first.",
        {200: jobs.JobList},
        security=KEYS,
        query=(
            {
                "name": "status",
                "in": "query",
                "description": "Only what has this status.",
                "schema": {"enum": [*JOB_STATUSES]},
            },
            {"name": "kind", "in": "query", "description": "Only what is of this kind.", "schema": NAME},
        ),
        is_paged=True,
    ),
    Operation(
        "get",
        "/api/admin/jobs/{job_id}",
        "retrieveJob",
        "Operators",
        "One of them.",
        {200: jobs.Job},
        failures=(404,),
        security=KEYS,
        path_parameter="job_id",
    ),
    Operation(
        "post",
        "/api/admin/jobs/{job_id}/cancel",
        "cancelJob",
        "Operators",
        "End it: at once where it waits, within about a second where it is being done.",
        {200: jobs.Job},
        failures=(404, 409),
        security=KEYS,
        path_parameter="job_id",
        is_done_once=True,
    ),
    Operation(
        "post",
        "/api/admin/jobs/{job_id}/retry",
        "retryJob",
        "Operators",
        "Let one that failed or was cancelled wait again, as if it were new.",
        {200: jobs.Job},
        failures=(404, 409),
        security=KEYS,
        path_parameter="job_id",
        is_done_once=True,
    ),
    Operation(
        "get",
        "/api/events",
        "events",
        "Sync",
        "What changes of all that the caller has, as it happens: a stream of events, or, where `Accept` does not say "
        "so, one answer when something has changed. For users alone.",
        {200: live.Polled},
        events=live.StreamEvent,
        failures=(426, 429),
        query=_OF_EVENTS,
    ),
    Operation(
        "get",
        "/api/conversations/{conversation_id}/events",
        "conversationEvents",
        "Sync",
        "The same of one conversation.",
        {200: live.Polled},
        events=live.StreamEvent,
        failures=(404, 426, 429),
        path_parameter="conversation_id",
        query=_OF_EVENTS,
    ),
    Operation(
        "post",
        "/api/sync",
        "sync",
        "Sync",
        "Do what was done on a device, then tell what has changed of all that its user has. Bodies may be MessagePack "
        "and packed, each way by itself.",
        {200: SyncAnswered},
        asks=SyncBody,
        failures=(413, 415, 426),
    ),
    Operation(
        "get",
        "/api/facts",
        "listFacts",
        "Memory",
        "What the caller wants to have remembered, the latest first. For users alone.",
        {200: memory.FactList},
        failures=(403,),
        is_paged=True,
    ),
    Operation(
        "post",
        "/api/facts",
        "addFact",
        "Memory",
        "Have something remembered. For users alone.",
        {200: memory.Fact},
        asks=FactBody,
        failures=(403, 413),
        is_done_once=True,
    ),
    Operation(
        "get",
        "/api/facts/{fact_id}",
        "retrieveFact",
        "Memory",
        "One thing that is remembered.",
        {200: memory.Fact},
        failures=(403, 404),
        path_parameter="fact_id",
    ),
    Operation(
        "patch",
        "/api/facts/{fact_id}",
        "changeFact",
        "Memory",
        "Say it in other words.",
        {200: memory.Fact},
        asks=FactBody,
        failures=(403, 404, 413),
        path_parameter="fact_id",
    ),
    Operation(
        "delete",
        "/api/facts/{fact_id}",
        "eraseFact",
        "Memory",
        "Have it forgotten: no model is told it from then on.",
        {200: memory.FactDeleted},
        failures=(403, 404),
        path_parameter="fact_id",
    ),
    Operation(
        "post",
        "/api/feedback",
        "sayFeedback",
        "Feedback",
        "Say what one thinks of a response of one's own, in place of what one said before.",
        {200: feedback.Feedback},
        asks=FeedbackBody,
        failures=(404, 413),
        is_done_once=True,
    ),
    Operation(
        "get",
        "/api/feedback",
        "listOwnFeedback",
        "Feedback",
        "What the caller said, the latest first; of one response, where it is named.",
        {200: feedback.FeedbackList},
        query=({"name": "response_id", "in": "query", "description": "Only what was said of it.", "schema": ID},),
        is_paged=True,
    ),
    Operation(
        "delete",
        "/api/feedback/{response_id}",
        "takeFeedbackBack",
        "Feedback",
        "Take back what the caller said of a response.",
        {200: feedback.FeedbackDeleted},
        failures=(404,),
        path_parameter="response_id",
    ),
    Operation(
        "get",
        "/api/admin/feedback",
        "listFeedback",
        "Feedback",
        "What everybody said, the latest first, for operators and reviewers.",
        {200: feedback.ReviewedFeedbackList},
        security=KEYS,
        query=(*_range_of_feedback("all there is"), *_OF_FEEDBACK),
        is_paged=True,
    ),
    Operation(
        "get",
        "/api/admin/feedback/sums",
        "sumUpFeedback",
        "Feedback",
        "How often everybody said up and down, in groups, for operators and reviewers.",
        {200: feedback.FeedbackSums},
        security=KEYS,
        query=(
            *_range_of_feedback("the current month; at most 366 days"),
            {
                "name": "group_by",
                "in": "query",
                "description": "What feedback is told apart by.",
                "schema": {"enum": [*GROUPINGS], "default": "feature"},
            },
            *_OF_FEEDBACK,
        ),
    ),
    Operation(
        "get",
        "/api/bootstrap",
        "bootstrap",
        "Start and health",
        "What a client needs to know at its start, which of its versions are served, and switches that it follows. Ask "
        "again with `If-None-Match`: 304 where nothing has changed.",
        {200: own.Bootstrap, 304: None},
        security=NOBODY,
    ),
    Operation(
        "get", "/healthz", "healthz", "Start and health", "The process answers.", {200: own.Health}, security=NOBODY
    ),
    Operation(
        "get",
        "/readyz",
        "readyz",
        "Start and health",
        "The process can serve; how many of its routes and local models are well.",
        {200: own.Readiness, 503: own.Readiness},
        security=NOBODY,
    ),
    Operation(
        "get",
        "/openapi.json",
        "openapi",
        "Start and health",
        "This document.",
        {200: dict[str, Any]},
        security=NOBODY,
    ),
)

OPERATIONS = (*OPENAI, *_OWN)
