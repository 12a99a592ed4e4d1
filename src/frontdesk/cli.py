"""The commands: serve, check, keys, models, migrate, upstream."""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import uvloop
import yaml

from frontdesk import __version__
from frontdesk.accounts.service import Accounts
from frontdesk.accounts.store import AccountStore
from frontdesk.app import open_frontdesk
from frontdesk.core.clock import SystemClock
from frontdesk.core.config import (
    FIELDS_OF_KIND,
    Config,
    ConfigError,
    Environment,
    development_config,
    load_config,
    read_environment,
)
from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.core.logs import log_to_stderr
from frontdesk.http.protocol import Patience
from frontdesk.http.server import PatientServer, listen
from frontdesk.local.catalogue import known_models
from frontdesk.local.models import installed
from frontdesk.local.pull import PullFailed, pull, pull_address
from frontdesk.providers.scripted import ScriptedProvider
from frontdesk.providers.scripts import is_script, script_names
from frontdesk.storage.database import open_beside
from frontdesk.storage.errors import StorageError
from frontdesk.storage.schema import migrate_in_child
from frontdesk.turn.items import Prompt


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exits with 1 and one sentence where it cannot."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ConfigError, StorageError, PullFailed) as error:
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

    _command(commands, "check", "Say what is wrong with a configuration, and what is effective.", _check)
    _command(commands, "migrate", "Bring the database's tables to this version.", _migrate)

    keys = commands.add_parser("keys", help="Keys of the app's own servers.").add_subparsers(
        required=True, metavar="ACTION"
    )
    create = _command(keys, "create", "Make a key; it is shown once.", _create_key)
    create.add_argument("name", nargs="?", default="unnamed", help="what the key is for")
    _command(keys, "list", "List the keys that hold.", _list_keys)
    revoke = _command(keys, "revoke", "End a key, at once in this process and within a second in others.", _revoke_key)
    revoke.add_argument("key_id", metavar="ID", help="the key's id, as `keys list` shows it")

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
            f"--workers is {options.workers}. More than one process needs shared limits, which this version has not."
        )
    settings = _settings(options.config)
    log_to_stderr()
    _allow_many_connections()
    uvloop.run(_serve_until_stopped(settings, options.host, options.port))


async def _serve_until_stopped(settings: _Settings, host: str, port: int) -> None:
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


def _greet(settings: _Settings, first_key: str | None, host: str, port: int) -> None:
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
    settings = _settings(options.config)
    print("The configuration is good. What is effective:\n")
    tree = _without_blanks(msgspec.to_builtins(settings.config))
    for name, fields in tree["providers"].items():
        taken = ("kind", *FIELDS_OF_KIND[fields["kind"]])
        provider = tree["providers"][name] = {field: value for field, value in fields.items() if field in taken}
        if "api_key" in provider:
            provider["api_key"] = "(set)"
        if "base_url" in provider:
            provider["base_url"] = _without_password(provider["base_url"])
    tree["database"] = _without_password(tree["database"])
    print(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    for warning in _warnings(settings):
        print(f"! {warning}")


def _migrate(options: argparse.Namespace) -> None:
    settings = _settings(options.config)
    asyncio.run(migrate_in_child(settings.config.database))
    print(f"The tables of {_without_password(settings.config.database)} are those of version {__version__}.")


def _warnings(settings: _Settings) -> list[str]:
    config = settings.config
    warnings: list[str] = []
    if not config.models:
        warnings.append("No models are configured: every request is answered with 404.")
    if config.default_model is None:
        warnings.append("There is no default_model: requests that name no model are answered with 400.")
    if config.auth.anonymous:
        warnings.append(_words_of_anonymous(settings))
    if "*" in config.cors.origins:
        warnings.append("cors.origins has '*': pages of any site may call with a token that they hold.")
    if not config.tiers:
        warnings.append("There are no tiers: people may use every model, as often as they like.")
    return warnings


def _words_of_anonymous(settings: _Settings) -> str:
    if settings.is_development:
        return "auth.anonymous is on: anybody on this machine may begin a session without a credential."
    limit = settings.config.auth.anonymous_sessions_per_hour
    return (
        "auth.anonymous is on: anybody who can reach the server may begin sessions without a credential, "
        f"{limit} an hour from one address."
    )


# --- keys ---------------------------------------------------------------------------------------


def _create_key(options: argparse.Namespace) -> None:
    async def create(accounts: Accounts) -> None:
        key_id, key = await accounts.create_key(options.name)
        print(f"{key}\n\nThis is key {key_id} ({options.name}). It is not shown again.")

    _with_accounts(options, create)


def _list_keys(options: argparse.Namespace) -> None:
    async def show(accounts: Accounts) -> None:
        keys = await accounts.list_keys()
        for key in keys:
            made = datetime.fromtimestamp(key.created_at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
            print(f"{key.id}  …{key.hint}  {made}  {key.name}")
        if not keys:
            print("There are no keys. 'frontdesk keys create NAME' makes one.")

    _with_accounts(options, show)


def _revoke_key(options: argparse.Namespace) -> None:
    async def revoke(accounts: Accounts) -> None:
        await accounts.revoke_key(options.key_id)
        print(f"Key {options.key_id} is revoked. A running server refuses it within a second.")

    _with_accounts(options, revoke)


def _with_accounts(options: argparse.Namespace, work: Callable[[Accounts], Awaitable[None]]) -> None:
    async def run() -> None:
        settings = _settings(options.config)
        await migrate_in_child(settings.config.database)
        database = await open_beside(settings.config.database)
        try:
            await work(Accounts(AccountStore(database), SystemClock(), None))
        except FrontdeskError as error:
            raise ConfigError(error.message) from None
        finally:
            await database.close()

    uvloop.run(run())


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
        print(f"{model.name:24} {model.kind:10} {size_mb:7.0f} MB  {model.licence:12} {state}")


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
        f"The scripted upstream is ready: base_url {url}/v1, any key; its journal: {url}/upstream/journal", flush=True
    )


# --- settings -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Settings:
    config: Config
    environment: Environment
    is_development: bool


def _settings(path: Path | None) -> _Settings:
    environment = read_environment()
    path = path or environment.config_file
    if path is None:
        return _Settings(development_config(environment), environment, is_development=True)
    config = load_config(path)
    _refuse_unknown_scripts(config)
    return _Settings(config, environment, is_development=False)


def _refuse_unknown_scripts(config: Config) -> None:
    """Ask the scripted provider: core, which checks all else, knows no provider."""
    scripted = ScriptedProvider()
    for name, model in config.models.items():
        for step in model.route if model.kind == "chat" else ():
            provider, _, script = step.partition("/")
            if config.providers[provider].kind != "scripted":
                continue
            try:
                scripted.answer(Prompt([]), script)
            except BadRequest as error:
                raise ConfigError(f"models.{name}.route has {step!r}. {error.message}") from None


def _effective(settings: _Settings) -> list[str]:
    config = settings.config
    lines = [f"  database   {_without_password(config.database)}"]
    for name, model in config.models.items():
        lines.append(f"  model      {name}: {', then '.join(model.route)}")
    return lines


def _without_blanks(tree: Any) -> Any:
    """What is not set says nothing."""
    if isinstance(tree, dict):
        fields = cast("dict[str, Any]", tree)
        return {name: _without_blanks(value) for name, value in fields.items() if value is not None}
    return tree


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:…@", url)
