"""The commands: serve, check, keys, models, migrate, reconcile, upstream."""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from frontdesk import __version__
from frontdesk.accounts.keys import DEFAULT_TENANT, KEY_ROLES, KEY_SCOPES
from frontdesk.accounts.service import Accounts
from frontdesk.accounts.store import KeyRow
from frontdesk.app import open_frontdesk
from frontdesk.checking.effective import without_password
from frontdesk.checking.report import failure_json, make_report
from frontdesk.checking.settings import Settings, read_settings
from frontdesk.core.clock import SystemClock
from frontdesk.core.config import ConfigError, Model, read_environment
from frontdesk.core.errors import FrontdeskError
from frontdesk.core.logs import log_to_stderr
from frontdesk.http.protocol import Patience
from frontdesk.http.server import PatientServer, listen
from frontdesk.local.catalogue import known_models
from frontdesk.local.models import installed
from frontdesk.local.pull import PullFailed, pull, pull_address
from frontdesk.providers.scripts import is_script, script_names
from frontdesk.reconciling.command import Asked, columns_of, option_day, pairs_of, reconcile, tolerance_of
from frontdesk.reconciling.comparing import Tolerance
from frontdesk.reconciling.invoices import FIELDS, InvoiceError
from frontdesk.reconciling.telling import Told, json_of, text_of
from frontdesk.storage.database import open_beside
from frontdesk.storage.errors import StorageError
from frontdesk.storage.schema import migrate_in_child

T = TypeVar("T")


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exits with 1 where it cannot, and says why: in one sentence, or a line for each problem."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ConfigError as error:
        count = len(error.problems)
        head = f"The configuration has {count} problems:\n" if count > 1 else ""
        sys.exit(f"frontdesk: {head}{error}")
    except (StorageError, PullFailed) as error:
        sys.exit(f"frontdesk: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="frontdesk", description="The OpenAI API, made safe to call from a browser or a phone."
    )
    parser.add_argument("--version", action="version", version=f"frontdesk {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = _command(commands, "serve", "Serve the API and the pages.", _serve)
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=_port, default=8000, help="the port (default: %(default)s; 0 takes a free one)")
    serve.add_argument("--workers", type=int, default=1, help="processes (only 1 in this version)")

    check = _command(commands, "check", "Say what is wrong with a configuration, and what is effective.", _check)
    check.add_argument("--strict", action="store_true", help="exit with 1 where there are warnings")
    check.add_argument("--offline", action="store_true", help="do not fetch the keys of identity providers")
    check.add_argument("--json", action="store_true", help="say it for programs")
    _command(commands, "migrate", "Bring the database's tables to this version.", _migrate)

    keys = commands.add_parser("keys", help="Keys of the app's own servers.").add_subparsers(
        required=True, metavar="ACTION"
    )
    create = _command(keys, "create", "Make a key; it is shown once.", _create_key)
    create.add_argument("name", nargs="?", default="unnamed", help="what the key is for")
    create.add_argument("--role", choices=KEY_ROLES, default="server", help="who holds it (default: %(default)s)")
    create.add_argument(
        "--scopes", type=_names, metavar="A,B", help=f"what it may do: {', '.join(KEY_SCOPES)} (default: all of them)"
    )
    create.add_argument("--expires-in", type=_days, metavar="DAYS", help="when it ends (default: never)")
    shown = _command(keys, "list", "List the keys that were not revoked.", _list_keys)
    revoke = _command(keys, "revoke", "End a key, at once in this process and within a second in others.", _revoke_key)
    revoke.add_argument("key_id", metavar="ID", help="the key's id, as `keys list` shows it")
    for command in (create, shown, revoke):
        command.add_argument(
            "--tenant", default=DEFAULT_TENANT, metavar="NAME", help="whose keys (default: %(default)s)"
        )

    invoice = _command(commands, "reconcile", "Compare a provider's invoice or export with the ledger.", _reconcile)
    invoice.add_argument("file", type=Path, metavar="INVOICE.csv", help="what the provider says, as CSV")
    invoice.add_argument("--provider", metavar="NAME", help="whose it is (default: the only one that charges)")
    invoice.add_argument("--from", dest="since", type=_read_by(option_day), metavar="DAY", help="the first day, UTC")
    invoice.add_argument(
        "--to", dest="until", type=_read_by(option_day), metavar="DAY", help="the first day that is not part of it"
    )
    invoice.add_argument(
        "--tolerance",
        type=_read_by(tolerance_of),
        metavar="USD|PERCENT",
        default=Tolerance(),
        help="what may differ, of each line and of all, as 0.02 or 1%% (default: 0.5%% or 0.01, whichever is more)",
    )
    invoice.add_argument(
        "--columns",
        type=_read_by(columns_of),
        metavar="FIELD=COLUMN,…",
        default={},
        help=f"which columns to take as {', '.join(FIELDS)}, of a file that is not known by its own",
    )
    invoice.add_argument(
        "--models",
        type=_read_by(pairs_of),
        metavar="THEIRS=OURS,…",
        default={},
        help="what the ledger calls models that the file names in another way",
    )
    invoice.add_argument("--tenant", default=DEFAULT_TENANT, metavar="NAME", help="whose ledger (default: %(default)s)")
    invoice.add_argument("--json", action="store_true", help="say it for programs")

    models = commands.add_parser("models", help="Local models.").add_subparsers(required=True, metavar="ACTION")
    fetch = models.add_parser("pull", help="Fetch a local model and check its sha256.")
    fetch.add_argument(
        "name", metavar="NAME", help=f"a name ({', '.join(m.name for m in known_models())}) or an address"
    )
    fetch.add_argument("--sha256", metavar="HEX", help="for an address: what the file's sha256 must be")
    fetch.add_argument("--name", dest="as_name", metavar="NAME", help="for an address: what the model is called here")
    fetch.set_defaults(run=_pull_model)
    models.add_parser("list", help="List the local models that are known.").set_defaults(run=_list_models)

    words = "Serve the scripted provider, which speaks the providers' dialects and fails as they do."
    upstream = commands.add_parser("upstream", help=words, description=words)
    upstream.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    upstream.add_argument(
        "--port", type=_port, default=9000, help="the port (default: %(default)s; 0 takes a free one)"
    )
    upstream.add_argument("--api-key", metavar="KEY", help="refuse requests without this key (default: take any)")
    upstream.add_argument(
        "--script",
        default="echo",
        metavar="SCRIPT",
        help="what answers models that are no script (default: %(default)s; 'none' refuses them)",
    )
    upstream.set_defaults(run=_upstream)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it is a number from 0 to 65535")
    return int(text)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3660:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to 3660")
    return int(text)


def _read_by(read: Callable[[str], T]) -> Callable[[str], T]:
    """What reads an option's value, with its own words where it cannot."""

    def reads(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reads


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _command(
    commands: Any,  # argparse names its type in private
    name: str,
    words: str,
    run: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="the configuration (default: $FRONTDESK_CONFIG, else development)"
    )
    command.set_defaults(run=run)
    return command


# --- serve --------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> None:
    if options.workers != 1:
        raise ConfigError(
            f"--workers is {options.workers}, and this version runs one process a command. Start several, behind a "
            "load balancer, with one PostgreSQL 'database' and one 'valkey' between them."
        )
    settings = read_settings(options.config)
    log_to_stderr()
    _allow_many_connections()
    uvloop.run(_serve_until_stopped(settings, options.host, options.port))


async def _serve_until_stopped(settings: Settings, host: str, port: int) -> None:
    try:
        socket = listen(host, port)
    except OSError as error:
        raise ConfigError(
            f"Port {port} of {host} cannot be used: {error.strerror}. Choose another with --port."
        ) from None
    except UnicodeError:
        raise ConfigError(f"--host is {host!r}, which is no name of a host.") from None
    await migrate_in_child(settings.config.database)
    frontdesk = await open_frontdesk(settings.config, settings.environment, is_development=settings.is_development)
    try:
        limits = settings.config.limits
        patience = Patience(limits.header_timeout_s, limits.body_timeout_s, limits.slow_reader_s)
        host, port = socket.getsockname()[:2]
        server = PatientServer(
            frontdesk.asgi, patience, frontdesk.drain, lambda: _greet(settings, frontdesk.first_key, host, port)
        )
        await server.serve(sockets=[socket])
    finally:
        await frontdesk.close()


def _greet(settings: Settings, first_key: str | None, host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    lines = [f"Frontdesk {__version__} is ready: http://{shown}:{port}", *_effective(settings)]
    if first_key is not None:
        lines += ["", f"  Secret key, shown this once: {first_key}", "  Your servers send it; devices never do."]
    if settings.is_development:
        lines += [
            "",
            "  ! DEVELOPMENT CONFIGURATION: anybody on this machine may chat without a credential.",
            "  ! Give a configuration (--config FILE) before anybody else can reach this address.",
        ]
    print("\n".join(lines), flush=True)


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_WANTED_FILES = 65_536


# --- check, migrate -----------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> None:
    try:
        settings = read_settings(options.config)
    except ConfigError as error:
        if not options.json:
            raise
        print(failure_json(error))
        sys.exit(1)
    report = asyncio.run(make_report(settings, is_offline=options.offline))
    print(report.json() if options.json else report.text())
    if options.strict and report.warnings:
        sys.exit(1)


def _migrate(options: argparse.Namespace) -> None:
    settings = read_settings(options.config)
    asyncio.run(migrate_in_child(settings.config.database))
    print(f"The tables of {without_password(settings.config.database)} are those of version {__version__}.")


# --- keys ---------------------------------------------------------------------------------------


def _create_key(options: argparse.Namespace) -> None:
    async def create(accounts: Accounts) -> None:
        expires_in_s = None if options.expires_in is None else options.expires_in * _DAY_S
        row, key = await accounts.create_key(options.tenant, options.name, options.role, options.scopes, expires_in_s)
        print(f"{key}\n\nThis is key {row.id} ({row.name}): {_words_of_key(row)}. It is not shown again.")

    _with_accounts(options, create)


def _list_keys(options: argparse.Namespace) -> None:
    async def show(accounts: Accounts) -> None:
        keys = await accounts.list_keys(options.tenant)
        for key in keys:
            print(f"{key.id}  …{key.hint}  {key.name}\n    {_words_of_key(key)}")
        if not keys:
            print("There are no keys. 'frontdesk keys create NAME' makes one.")

    _with_accounts(options, show)


def _revoke_key(options: argparse.Namespace) -> None:
    async def revoke(accounts: Accounts) -> None:
        await accounts.revoke_key(options.tenant, options.key_id)
        print(f"Key {options.key_id} is revoked. A running server refuses it within a second.")

    _with_accounts(options, revoke)


def _words_of_key(key: KeyRow) -> str:
    scopes = "all scopes" if key.scopes is None else f"scopes {', '.join(sorted(key.scopes))}"
    ending = "never ends" if key.expires_at_ms is None else f"ends {_moment(key.expires_at_ms)}"
    used = "never used" if key.last_used_at_ms is None else f"used last {_moment(key.last_used_at_ms)}"
    return f"role {key.role}, {scopes}, made {_moment(key.created_at_ms)}, {ending}, {used}"


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


_DAY_S = 86_400


def _with_accounts(options: argparse.Namespace, work: Callable[[Accounts], Awaitable[None]]) -> None:
    async def run() -> None:
        settings = read_settings(options.config)
        await migrate_in_child(settings.config.database)
        database = await open_beside(settings.config.database)
        try:
            await work(Accounts(database, SystemClock(), None, settings.config.auth))
        except FrontdeskError as error:
            raise ConfigError(error.message) from None
        finally:
            await database.close()

    uvloop.run(run())


# --- reconcile ----------------------------------------------------------------------------------


def _reconcile(options: argparse.Namespace) -> None:
    asked = Asked(
        options.file,
        options.tenant,
        options.since,
        options.until,
        options.provider,
        options.tolerance,
        options.columns,
        options.models,
    )

    async def run() -> Told:
        settings = read_settings(options.config)
        await migrate_in_child(settings.config.database)
        database = await open_beside(settings.config.database)
        try:
            return await reconcile(database, settings.config, asked)
        except InvoiceError as error:
            raise ConfigError(str(error)) from None
        finally:
            await database.close()

    told = uvloop.run(run())
    print(json_of(told) if options.json else text_of(told))
    if not told.comparison.is_within:
        sys.exit(1)


# --- local models -------------------------------------------------------------------------------


def _pull_model(options: argparse.Namespace) -> None:
    home = read_environment().home
    if "://" not in options.name:
        path = pull(options.name, home, print)
    elif options.sha256 and options.as_name:
        path = pull_address(options.name, options.sha256, options.as_name, home, print)
    else:
        raise PullFailed("A model by address needs --sha256 HEX and --name NAME.")
    print(f"The model is at {path}")


def _list_models(_: argparse.Namespace) -> None:
    home = read_environment().home
    for model in known_models():
        size_mb = sum(file.size_bytes for file in model.files) / 1e6
        state = "here" if installed(model.name, home) else "not fetched"
        print(f"{model.name:24} {model.kind:13} {size_mb:7.0f} MB  {model.licence:12} {state}")


# --- upstream -----------------------------------------------------------------------------------


def _upstream(options: argparse.Namespace) -> None:
    from frontdesk.upstream.server import UpstreamServer, serve_until_stopped  # noqa: PLC0415 - the others start without

    script = None if options.script == "none" else options.script
    if script is not None and not is_script(script):
        raise ConfigError(f"--script is {script!r}. Known: none, {', '.join(script_names())}.")
    server = UpstreamServer(options.host, options.port, api_key=options.api_key, script=script)
    _allow_many_connections()
    try:
        uvloop.run(serve_until_stopped(server, _announce_upstream))
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{options.host}:{options.port} cannot be used: {error}. Choose another.") from None


def _announce_upstream(url: str) -> None:
    print(
        f"The scripted upstream is ready: base_url {url}/v1, any key; for Anthropic, Gemini and Azure {url}. "
        f"Its journal: {url}/upstream/journal",
        flush=True,
    )


# --- settings -----------------------------------------------------------------------------------


def _effective(settings: Settings) -> list[str]:
    config = settings.config
    lines = [f"  database   {without_password(config.database)}"]
    for name, model in config.models.items():
        lines.append(f"  model      {name}: {_route(model)}")
    return lines


def _route(model: Model) -> str:
    """A route in words: "a, then b 95 or c 5; hedge_after_s 3; shadow d 0.1"."""
    ways = ", then ".join(
        " or ".join(f"{way} {weight:g}" if len(step) > 1 else way for way, weight in step.items())
        for step in model.steps
    )
    besides = [] if model.hedge_after_s is None else [f"hedge_after_s {model.hedge_after_s:g}"]
    if model.shadow is not None:
        besides.append(f"shadow {model.shadow.to} {model.shadow.share:g}")
    return "; ".join([ways, *besides])
