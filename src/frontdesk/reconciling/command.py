"""`frontdesk reconcile`: reads a file, reads the ledger beside a server that may be running, and compares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from frontdesk.core.config import Config
from frontdesk.core.money import micros_of
from frontdesk.reconciling.cells import day_of, usd_of
from frontdesk.reconciling.comparing import Tolerance, compare
from frontdesk.reconciling.invoices import FIELDS, Invoice, InvoiceError, read_invoice
from frontdesk.reconciling.store import LedgerReader
from frontdesk.reconciling.telling import Told, notes_of
from frontdesk.storage.database import Database

_MOST_DAYS = 3_660
_FOR_NOTHING = ("local", "scripted")


class Asked(msgspec.Struct, frozen=True):
    """What the command was asked for; `until` is the first day that is not part of it."""

    file: Path
    tenant: str
    since: date | None = None
    until: date | None = None
    provider: str | None = None
    tolerance: Tolerance = Tolerance()
    columns: Mapping[str, str] = {}
    models: Mapping[str, str] = {}


async def reconcile(database: Database, config: Config, asked: Asked) -> Told:
    """Compare a file with the ledger. Raises InvoiceError, StorageError."""
    whole = _read(asked)
    if not whole.has_costs and asked.tolerance.micros and not asked.tolerance.percent:
        raise InvoiceError("--tolerance: this file has tokens and no costs. Give it in percent, as 0.5%")
    since, until = _range(asked, whole)
    invoice = msgspec.structs.replace(
        whole, charges={key: charge for key, charge in whole.charges.items() if since <= key[0] < until}
    )
    days = [since + timedelta(place) for place in range((until - since).days)]
    ledger = LedgerReader(database, asked.tenant)
    provider = await _provider(asked, config, ledger, days)
    spent = [each for day in days for each in await ledger.spent(provider, day)]
    comparison = compare(invoice, spent, asked.tolerance, asked.models)
    notes = notes_of(spent, len(whole.charges) - len(invoice.charges))
    return Told(str(asked.file), provider, since, until, invoice, asked.tolerance, comparison, notes)


def tolerance_of(text: str) -> Tolerance:
    """'0.5%' of each line, or an amount as '0.05'. Raises ValueError."""
    is_percent = text.strip().endswith("%")
    amount = usd_of(text.strip().removesuffix("%"))
    if amount < 0:
        raise ValueError(f"{text!r} is less than nothing")
    return Tolerance(amount, 0) if is_percent else Tolerance(Decimal(0), micros_of(amount))


def columns_of(text: str) -> dict[str, str]:
    """'date=Day,cost=Amount': which column is what. Raises ValueError."""
    found = pairs_of(text)
    unknown = next((field for field in found if field not in FIELDS), None)
    if unknown is not None:
        raise ValueError(f"{unknown!r} is none of: {', '.join(FIELDS)}")
    return found


def pairs_of(text: str) -> dict[str, str]:
    """'a=b,c=d', each name once. Raises ValueError."""
    found: dict[str, str] = {}
    for pair in text.split(","):
        name, mark, value = (part.strip() for part in pair.partition("="))
        if not (name and mark and value) or name in found:
            raise ValueError(f"{pair.strip()!r} is not NAME=NAME, each once")
        found[name] = value
    return found


def _read(asked: Asked) -> Invoice:
    try:
        data = asked.file.read_bytes()
    except OSError as error:
        raise InvoiceError(f"{asked.file} cannot be read: {error.strerror}.") from None
    try:
        return read_invoice(data, asked.columns)
    except InvoiceError as error:
        raise InvoiceError(f"{asked.file} cannot be compared:\n{error}") from None


def _range(asked: Asked, invoice: Invoice) -> tuple[date, date]:
    days = [day for day, _ in invoice.charges]
    since = asked.since or min(days)
    until = asked.until or max(days) + timedelta(1)
    if since >= until:
        raise InvoiceError(f"--from is {since} and --to is {until}, which is not part of it: there is no day between.")
    if (until - since).days > _MOST_DAYS:
        raise InvoiceError(f"From {since} to {until} are more than {_MOST_DAYS} days. Narrow it with --from and --to.")
    return since, until


async def _provider(asked: Asked, config: Config, ledger: LedgerReader, days: Sequence[date]) -> str:
    """Whose file it is. One that the configuration no longer has may still be in the ledger."""
    charging = [name for name, provider in config.providers.items() if provider.kind not in _FOR_NOTHING]
    if asked.provider is None:
        if len(charging) == 1:
            return charging[0]
        raise InvoiceError(
            f"Say whose it is: --provider NAME. Configured: {', '.join(charging) or 'none that charges'}."
        )
    if asked.provider in config.providers:
        return asked.provider
    called = {name for day in days for name in await ledger.providers(day)}
    if asked.provider not in called:
        known = ", ".join(sorted({*charging, *called})) or "none"
        raise InvoiceError(
            f"--provider is {asked.provider!r}, which is neither configured nor in the ledger of these days. "
            f"Known: {known}."
        )
    return asked.provider


def option_day(text: str) -> date:
    """A day of an option. Raises ValueError."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text) is None:
        raise ValueError(f"{text!r} is no day as 2026-07-31")
    return day_of(text)
