"""The tables. Tenant leads every key; ids are text; times are milliseconds since 1970, UTC.

Texts of prompts and answers are only in what callers had kept: responses, conversations, files, and the lines of
batches. `migrations` brings a database here; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _text_or_null(name: str) -> Column[str]:
    return Column(name, Text)


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _time_or_null(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _usage() -> list[Column[int]]:
    """Tokens, and micro-dollars; null is not known, which is not 0."""
    return [
        Column("input_tokens", BigInteger),
        Column("output_tokens", BigInteger),
        Column("cached_tokens", BigInteger),
        Column("cache_write_tokens", BigInteger),
        Column("reasoning_tokens", BigInteger),
        Column("cost_micros", BigInteger),
    ]


# Settings that the program makes itself, such as the secret that signs session tokens.
setting = Table(
    "setting",
    metadata,
    _key("tenant"),
    _key("name"),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# End users. They come into being on first mention. `tier` is what an app's server said last,
# `assigned_tier` what an operator says over it. Credentials issued before `revoked_before_ms` do not
# count. `became` is the person that an anonymous one turned out to be. `changed_at_ms` moves with all
# of these, so that other processes find what changed.
person = Table(
    "person",
    metadata,
    _key("tenant"),
    _key("id"),
    _text_or_null("tier"),
    _text_or_null("assigned_tier"),
    _text_or_null("became"),
    _time("created_at_ms"),
    _time_or_null("changed_at_ms"),
    _time_or_null("revoked_before_ms"),
    sqlite_with_rowid=False,
)
Index(
    "ix_person_changed_at_ms",
    person.c.changed_at_ms,
    sqlite_where=person.c.changed_at_ms.is_not(None),
    postgresql_where=person.c.changed_at_ms.is_not(None),
)
# A sweep looks for the few that were upgraded lately, again and again.
Index(
    "ix_person_became",
    person.c.changed_at_ms,
    sqlite_where=person.c.became.is_not(None),
    postgresql_where=person.c.became.is_not(None),
)

# Secret keys: only their SHA-256 is kept, and their last four characters for people. `scopes` is a
# JSON list, null for all that the role may do.
app_key = Table(
    "app_key",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("name"),
    _text("role"),
    Column("hash", LargeBinary, nullable=False),
    _text("hint"),
    _text_or_null("scopes"),
    _time("created_at_ms"),
    _time_or_null("expires_at_ms"),
    _time_or_null("last_used_at_ms"),
    _time_or_null("revoked_at_ms"),
    # Alone: the tenant comes from the key, not the other way round.
    Index("uq_app_key_hash", "hash", unique=True),
    sqlite_with_rowid=False,
)

# `groups` and `features` are JSON lists; null features are all. `lifetime_s` is that of each of its
# tokens. `refresh_number` counts the refresh tokens that were used, null where it has none; `used_at_ms`
# is when what the last refresh told was used first, null where it was not. It can last until
# `expires_at_ms`, which each refresh moves, and whatever is refreshed until `not_after_ms`.
session = Table(
    "session",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("person"),
    _text_or_null("tier"),
    _text_or_null("groups"),
    _text_or_null("features"),
    _text_or_null("app"),
    Column("is_anonymous", Boolean, nullable=False),
    Column("lifetime_s", Integer),
    Column("refresh_number", Integer),
    _time_or_null("refreshed_at_ms"),
    _time_or_null("used_at_ms"),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    _time_or_null("not_after_ms"),
    _time_or_null("revoked_at_ms"),
    ForeignKeyConstraint(["tenant", "person"], ["person.tenant", "person.id"], ondelete="CASCADE"),
    Index("ix_session_person", "tenant", "person"),
    Index("ix_session_expires_at_ms", "tenant", "expires_at_ms"),
    sqlite_with_rowid=False,
)
# Of all tenants: a process recognises the sessions of each.
Index(
    "ix_session_revoked_at_ms",
    session.c.revoked_at_ms,
    sqlite_where=session.c.revoked_at_ms.is_not(None),
    postgresql_where=session.c.revoked_at_ms.is_not(None),
)

# Requests. `owner` is the process that carries it; status is running, completed, incomplete,
# failed, cancelled, refused or abandoned. `prompt` names the version of the instructions that it was given,
# `max_output_tokens` is how long its answer might get, and `context` (JSON) what its model was told, and what not.
turn = Table(
    "turn",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("owner"),
    _text("door"),
    _text_or_null("person"),
    _text("caller"),
    _text_or_null("credential"),
    _text_or_null("feature"),
    _text_or_null("tier"),
    _text_or_null("model"),
    Column("is_streaming", Boolean, nullable=False),
    _text("status"),
    _text_or_null("error_code"),
    Column("http_status", Integer),
    _time("started_at_ms"),
    _time_or_null("first_event_at_ms"),
    _time_or_null("finished_at_ms"),
    *_usage(),
    _text_or_null("usage_source"),
    _text_or_null("prompt"),
    Column("max_output_tokens", BigInteger),
    _text_or_null("context"),
    Index("ix_turn_started_at_ms", "tenant", "started_at_ms"),
    Index("ix_turn_person", "tenant", "person", "started_at_ms"),
    sqlite_with_rowid=False,
)
Index(
    "ix_turn_running",
    turn.c.tenant,
    turn.c.owner,
    sqlite_where=turn.c.status == text("'running'"),
    postgresql_where=turn.c.status == text("'running'"),
)

# Calls of providers, numbered within their turn from 1. `input_tokens` and `output_tokens` are all; the
# others are parts of them that share none. `cost_source` is provider, usage, estimate, crash, or null where
# nothing is known of it; `price` is the book by which it was reckoned.
attempt = Table(
    "attempt",
    metadata,
    _key("tenant"),
    _key("turn"),
    Column("number", Integer, primary_key=True),
    _text("provider"),
    _text("model"),
    _text("status"),
    _text_or_null("error_code"),
    Column("http_status", Integer),
    _time("started_at_ms"),
    _time_or_null("first_event_at_ms"),
    _time_or_null("finished_at_ms"),
    *_usage(),
    Column("audio_input_tokens", BigInteger),
    Column("image_input_tokens", BigInteger),
    Column("tool_tokens", BigInteger),
    Column("audio_output_tokens", BigInteger),
    Column("image_output_tokens", BigInteger),
    _text_or_null("usage_source"),
    _text_or_null("raw_usage"),
    _text_or_null("cost_source"),
    _text_or_null("price"),
    _text_or_null("purpose"),
    Index("ix_attempt_started_at_ms", "tenant", "started_at_ms"),
    sqlite_with_rowid=False,
)

Index(
    "ix_attempt_running",
    attempt.c.tenant,
    attempt.c.turn,
    sqlite_where=attempt.c.status == text("'running'"),
    postgresql_where=attempt.c.status == text("'running'"),
)

# What budgets count: `spent_micros` is settled, `held_micros` put aside for turns under way. A window is
# known by its scope, its period and its start, 0 for all time; no window is ever reset.
budget_window = Table(
    "budget_window",
    metadata,
    _key("tenant"),
    _key("scope"),
    _key("period"),
    Column("starts_at_ms", BigInteger, primary_key=True),
    Column("spent_micros", BigInteger, nullable=False),
    Column("held_micros", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Money put aside for a turn under way, in `windows` (JSON: scope, period and start of each), by the process
# `owner`. `facts` (JSON) are what a row of the turn needs where that process dies. One that was swept is spent
# already; it stays for a while, in case its process comes back and knows better.
hold = Table(
    "hold",
    metadata,
    _key("tenant"),
    _key("turn"),
    _text("owner"),
    Column("micros", BigInteger, nullable=False),
    _text("windows"),
    _text("facts"),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    _time_or_null("swept_at_ms"),
    sqlite_with_rowid=False,
)

# What an operator was told of a window, each thing once; `delivered_at_ms` is null until it was.
alert = Table(
    "alert",
    metadata,
    _key("tenant"),
    _key("scope"),
    _key("period"),
    Column("starts_at_ms", BigInteger, primary_key=True),
    _key("kind"),
    _text("id"),
    _text("body"),
    _time("raised_at_ms"),
    Column("tries", Integer, nullable=False),
    _time("next_try_at_ms"),
    _time_or_null("delivered_at_ms"),
    sqlite_with_rowid=False,
)
Index(
    "ix_alert_undelivered",
    alert.c.next_try_at_ms,
    sqlite_where=alert.c.delivered_at_ms.is_(None),
    postgresql_where=alert.c.delivered_at_ms.is_(None),
)

# What models cost, and since when: a row for each change. `rates` is JSON, null where there is no price.
price = Table(
    "price",
    metadata,
    _key("tenant"),
    _key("route"),
    Column("since_ms", BigInteger, primary_key=True),
    _text("book"),
    _text_or_null("rates"),
    sqlite_with_rowid=False,
)

# What callers uploaded, and what batches made for them. It belongs to `person`, or where that is empty to the key
# `credential`. It is there once it `is_whole`, and not any more from `expires_at_ms` on; an upload that nobody goes on
# with, and a deleted file, expire as well. A sweep removes the pieces then, and the row behind them.
file = Table(
    "file",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("person"),
    _text("credential"),
    _text("purpose"),
    _text("filename"),
    _text("media_type"),
    Column("bytes", BigInteger, nullable=False),
    Column("is_whole", Boolean, nullable=False),
    _time("created_at_ms"),
    _time_or_null("expires_at_ms"),
    Index("ix_file_owner", "tenant", "person", "credential", "id"),
    sqlite_with_rowid=False,
)
# Of all tenants: one sweep looks for those of each.
Index(
    "ix_file_expires_at_ms",
    file.c.expires_at_ms,
    sqlite_where=file.c.expires_at_ms.is_not(None),
    postgresql_where=file.c.expires_at_ms.is_not(None),
)

# Their bytes, in pieces numbered from 0. With SQLite's own rowid: large rows do not belong into an index.
file_piece = Table(
    "file_piece",
    metadata,
    _key("tenant"),
    _key("file"),
    Column("number", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Work that nobody waits for: the requests of a file. It belongs to somebody as a file does; `caller` (JSON) is who
# asked, as they were then. `owner` is the process that carries it. Once nothing is left to do `open_at_ms` is null, and
# `forget_at_ms` says when its row goes. `errors` and `metadata` are JSON.
batch = Table(
    "batch",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("person"),
    _text("credential"),
    _text("caller"),
    _text_or_null("owner"),
    _text("endpoint"),
    _text("input_file"),
    _text("completion_window"),
    _text_or_null("feature"),
    _text("address"),
    _text_or_null("metadata"),
    Column("output_expires_s", Integer),
    _text("status"),
    _text_or_null("errors"),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    _text_or_null("output_file"),
    _text_or_null("error_file"),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    _time_or_null("in_progress_at_ms"),
    _time_or_null("finalizing_at_ms"),
    _time_or_null("completed_at_ms"),
    _time_or_null("failed_at_ms"),
    _time_or_null("expired_at_ms"),
    _time_or_null("cancelling_at_ms"),
    _time_or_null("cancelled_at_ms"),
    _time_or_null("open_at_ms"),
    _time_or_null("forget_at_ms"),
    _text_or_null("model"),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Index("ix_batch_owner", "tenant", "person", "credential", "id"),
    sqlite_with_rowid=False,
)
Index(
    "ix_batch_open",
    batch.c.open_at_ms,
    sqlite_where=batch.c.open_at_ms.is_not(None),
    postgresql_where=batch.c.open_at_ms.is_not(None),
)
Index(
    "ix_batch_forget_at_ms",
    batch.c.forget_at_ms,
    sqlite_where=batch.c.forget_at_ms.is_not(None),
    postgresql_where=batch.c.forget_at_ms.is_not(None),
)

# The requests of a batch that were asked, by their place in its file; a row is there before anybody is asked. `status`
# is running, completed, failed or interrupted, `answer` the response as the batch's files tell it.
batch_line = Table(
    "batch_line",
    metadata,
    _key("tenant"),
    _key("batch"),
    Column("number", Integer, primary_key=True),
    _text("id"),
    _text("custom_id"),
    _text("status"),
    _text_or_null("answer"),
)

# Turns that outlive their connection: stored, in a conversation, in the background, or with an idempotency key. `owner`
# is the process that carries one, null before anybody does; until `is_dispatched` no provider was asked. One that
# `is_stored` is its owner's to retrieve; others are kept for their key alone. `caller` (JSON) is who asked, as they
# were then. `status` is queued, in_progress, completed, incomplete, failed or cancelled.
response = Table(
    "response",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("person"),
    _text("credential"),
    _text("caller"),
    _text("door"),
    _text_or_null("owner"),
    _text("status"),
    Column("is_stored", Boolean, nullable=False),
    Column("is_background", Boolean, nullable=False),
    Column("is_dispatched", Boolean, nullable=False),
    Column("wants_cancel", Boolean, nullable=False),
    _text_or_null("conversation"),
    _text_or_null("previous"),
    _text("model"),
    _text("feature"),
    _text_or_null("metadata"),
    _time("created_at_ms"),
    _time_or_null("finished_at_ms"),
    _time_or_null("events_until_ms"),
    _time_or_null("expires_at_ms"),
    Index("ix_response_owner", "tenant", "person", "credential", "id"),
    sqlite_with_rowid=False,
)
Index(
    "ix_response_open",
    response.c.owner,
    sqlite_where=response.c.finished_at_ms.is_(None),
    postgresql_where=response.c.finished_at_ms.is_(None),
)
# Of all tenants: one sweep looks for those of each.
Index(
    "ix_response_expires_at_ms",
    response.c.expires_at_ms,
    sqlite_where=response.c.expires_at_ms.is_not(None),
    postgresql_where=response.c.expires_at_ms.is_not(None),
)
Index(
    "ix_response_events_until_ms",
    response.c.events_until_ms,
    sqlite_where=response.c.events_until_ms.is_not(None),
    postgresql_where=response.c.events_until_ms.is_not(None),
)
# What goes on with one: what was made of all of them goes with each.
Index(
    "ix_response_previous",
    response.c.tenant,
    response.c.previous,
    sqlite_where=response.c.previous.is_not(None),
    postgresql_where=response.c.previous.is_not(None),
)

# Their texts, by `part`: "asked" is the request, "answer" the whole answer, as events that were put together
# (msgpack). With SQLite's own rowid: large rows do not belong into an index.
response_text = Table(
    "response_text",
    metadata,
    _key("tenant"),
    _key("response"),
    _key("part"),
    Column("content", LargeBinary, nullable=False),
)

# Their events as they came (msgpack), in batches: from the place `first`, counted from 0, up to `last`.
response_event = Table(
    "response_event",
    metadata,
    _key("tenant"),
    _key("response"),
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# Keys under which requests are done once (the header Idempotency-Key): whose, for which route, what of (`fingerprint`,
# a hash of the body). Of a turn it names the `response`; of all else `answer` is what was answered, null while it is
# being done by the process `owner`.
idempotency_key = Table(
    "idempotency_key",
    metadata,
    _key("tenant"),
    _key("person"),
    _key("credential"),
    _key("route"),
    _key("key"),
    Column("fingerprint", LargeBinary, nullable=False),
    _text_or_null("response"),
    _text_or_null("owner"),
    Column("http_status", Integer),
    Column("answer", LargeBinary),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    Index("ix_idempotency_key_expires_at_ms", "expires_at_ms"),
    sqlite_with_rowid=False,
)

# Conversations. `branch` is the chosen one of its `branches`, which are numbered from 0. `version` counts changes of
# its items, `response` is the one that is being made in it. `metadata` is JSON. `read_item` is the latest item that its
# person has read, on whatever device, and `read_at_ms` when that item was put in.
conversation = Table(
    "conversation",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("person"),
    _text("credential"),
    _text_or_null("title"),
    _text_or_null("metadata"),
    Column("branch", Integer, nullable=False),
    Column("branches", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    _text_or_null("response"),
    _time("created_at_ms"),
    _time("changed_at_ms"),
    _time_or_null("pinned_at_ms"),
    _time_or_null("expires_at_ms"),
    _text_or_null("follow_ups"),
    _text_or_null("read_item"),
    _time_or_null("read_at_ms"),
    Index("ix_conversation_owner", "tenant", "person", "credential", "changed_at_ms"),
    sqlite_with_rowid=False,
)
Index(
    "ix_conversation_expires_at_ms",
    conversation.c.expires_at_ms,
    sqlite_where=conversation.c.expires_at_ms.is_not(None),
    postgresql_where=conversation.c.expires_at_ms.is_not(None),
)

# A branch goes along its `parent` up to the position `fork`, where its own items begin; `length` is where its next one
# comes. The branch 0 has no parent.
conversation_branch = Table(
    "conversation_branch",
    metadata,
    _key("tenant"),
    _key("conversation"),
    Column("number", Integer, primary_key=True),
    Column("parent", Integer),
    Column("fork", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Their items, each at its position in its branch. `content` is the item (JSON), null once it was deleted; `words` is
# what is searched of it. `response` is what made it or brought it along. A pinned one is told to every model. `tokens`
# is how many it has as the vocabulary `tokens_by` counts, null where nobody has counted.
conversation_item = Table(
    "conversation_item",
    metadata,
    _key("tenant"),
    _key("conversation"),
    Column("branch", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    _text("id"),
    _text_or_null("response"),
    Column("content", LargeBinary),
    _text_or_null("words"),
    _time("created_at_ms"),
    _time_or_null("pinned_at_ms"),
    Column("tokens", Integer),
    _text_or_null("tokens_by"),
    Index("uq_conversation_item_id", "tenant", "conversation", "id", unique=True),
)
# Those that were deleted, and titles: looked for whenever something is added.
Index(
    "ix_conversation_item_deleted",
    conversation_item.c.tenant,
    conversation_item.c.conversation,
    conversation_item.c.branch,
    conversation_item.c.position,
    sqlite_where=conversation_item.c.content.is_(None),
    postgresql_where=conversation_item.c.content.is_(None),
)
Index(
    "ix_conversation_item_pinned",
    conversation_item.c.tenant,
    conversation_item.c.conversation,
    sqlite_where=conversation_item.c.pinned_at_ms.is_not(None),
    postgresql_where=conversation_item.c.pinned_at_ms.is_not(None),
)

# Work that goes on by itself, begun by the transaction that causes it. `kind` says what is to be done with `payload`
# (msgpack). Of those with the same `dedupe` one at a time is open. It waits until `run_at_ms`; higher priorities come
# first. `owner` is the process that does it. `person` is whose it is, "" where nobody's.
job = Table(
    "job",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("kind"),
    _text("person"),
    Column("payload", LargeBinary, nullable=False),
    Column("priority", Integer, nullable=False),
    _text_or_null("dedupe"),
    _text("status"),
    _time("run_at_ms"),
    Column("attempts", Integer, nullable=False),
    _text_or_null("owner"),
    Column("wants_cancel", Boolean, nullable=False),
    Column("done", BigInteger),
    Column("total", BigInteger),
    _text_or_null("error_code"),
    _text_or_null("error"),
    _time("created_at_ms"),
    _time_or_null("started_at_ms"),
    _time_or_null("finished_at_ms"),
    Index("ix_job_person", "tenant", "person"),
    sqlite_with_rowid=False,
)
# Of all tenants: one runner looks for what is due in each. By the kind, for some are full and some not known here.
Index(
    "ix_job_waiting",
    job.c.kind,
    job.c.priority.desc(),
    job.c.run_at_ms,
    sqlite_where=job.c.status == text("'waiting'"),
    postgresql_where=job.c.status == text("'waiting'"),
)
Index(
    "ix_job_running",
    job.c.owner,
    sqlite_where=job.c.status == text("'running'"),
    postgresql_where=job.c.status == text("'running'"),
)
Index(
    "ix_job_finished_at_ms",
    job.c.finished_at_ms,
    sqlite_where=job.c.finished_at_ms.is_not(None),
    postgresql_where=job.c.finished_at_ms.is_not(None),
)
Index(
    "uq_job_dedupe",
    job.c.tenant,
    job.c.kind,
    job.c.dedupe,
    unique=True,
    sqlite_where=job.c.finished_at_ms.is_(None),
    postgresql_where=job.c.finished_at_ms.is_(None),
)

# What people say of answers: one of each person, or key, for each response, whether that is stored or not. `feature`,
# `model` and `prompt` (which version of the feature's instructions) are those of its turn.
feedback = Table(
    "feedback",
    metadata,
    _key("tenant"),
    _key("person"),
    _key("credential"),
    _key("response"),
    _text("id"),
    _text("rating"),
    _text_or_null("reason"),
    _text_or_null("comment"),
    _text_or_null("correction"),
    _text_or_null("feature"),
    _text_or_null("model"),
    _text_or_null("prompt"),
    _time("created_at_ms"),
    _time("changed_at_ms"),
    _time_or_null("expires_at_ms"),
    Index("uq_feedback_id", "tenant", "id", unique=True),
    Index("ix_feedback_owner", "tenant", "person", "credential", "id"),
    Index("ix_feedback_created_at_ms", "tenant", "created_at_ms"),
    sqlite_with_rowid=False,
)
# Of all tenants: one sweep looks for those of each.
Index(
    "ix_feedback_expires_at_ms",
    feedback.c.expires_at_ms,
    sqlite_where=feedback.c.expires_at_ms.is_not(None),
    postgresql_where=feedback.c.expires_at_ms.is_not(None),
)

# What the older part of a conversation says, in few words: of all items up to the item `anchor`. Of a chain, where
# `conversation` is empty, `anchor` is a response: of all up to its end. `items` is how many those are. It goes with its
# conversation, or with that response.
summary = Table(
    "summary",
    metadata,
    _key("tenant"),
    _key("conversation"),
    _key("anchor"),
    _text("person"),
    _text("credential"),
    _text("content"),
    Column("items", Integer, nullable=False),
    _text("model"),
    _time("created_at_ms"),
    Index("ix_summary_owner", "tenant", "person", "credential"),
    sqlite_with_rowid=False,
)

# What people want to have remembered of them. `response` is what they said it in, where they did not write it down
# themselves.
fact = Table(
    "fact",
    metadata,
    _key("tenant"),
    _key("person"),
    _key("id"),
    _text("words"),
    _text_or_null("response"),
    _time("created_at_ms"),
    _time("changed_at_ms"),
    sqlite_with_rowid=False,
)

# What has changed of a person's things, for their devices: the latest change of each, numbered in the order of the
# commits. `conversation` is which it is of, "" where of none; the conversation itself has no `id`. `state` is that of a
# turn. One of what is no longer there stays for a while.
change = Table(
    "change",
    metadata,
    _key("tenant"),
    _key("person"),
    _key("conversation"),
    _key("kind"),
    _key("id"),
    Column("seq", BigInteger, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    _text_or_null("state"),
    _time("at_ms"),
    Index("uq_change_seq", "tenant", "person", "seq", unique=True),
    sqlite_with_rowid=False,
)
# Of all tenants: one sweep looks for what was deleted long ago.
Index(
    "ix_change_deleted",
    change.c.at_ms,
    sqlite_where=change.c.is_deleted,
    postgresql_where=change.c.is_deleted,
)

# The number of each person's latest change, `head`. What was deleted up to `floor` is not told any more: who knows
# less begins anew. `epoch` is another one where the numbers begin anew.
sync_head = Table(
    "sync_head",
    metadata,
    _key("tenant"),
    _key("person"),
    Column("head", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    _text("epoch"),
    sqlite_with_rowid=False,
)

# How far a process has come with what it enqueued: a connection that breaks in a commit leaves it open, and
# this row tells.
delivery = Table(
    "delivery",
    metadata,
    _key("owner"),
    Column("number", BigInteger, nullable=False),
    _time("at_ms"),
    sqlite_with_rowid=False,
)

# Serving processes: one whose heart has stopped no longer carries its turns. One that others took for dead and whose
# turns they ended is fenced: it may not go on with them.
process = Table(
    "process",
    metadata,
    _key("id"),
    _time("started_at_ms"),
    _time("heartbeat_at_ms"),
    _time_or_null("fenced_at_ms"),
    sqlite_with_rowid=False,
)
