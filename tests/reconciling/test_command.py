"""`frontdesk reconcile`, as people run it: what it prints, how it ends, and what it says of mistakes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frontdesk.cli import main
from frontdesk.storage.database import open_beside
from tests.reconciling import files
from tests.reports.rows import DAY_MS, JULY_MS, a_turn, an_attempt, keep

SETTINGS = """
database: {url}
providers:
  openai: {{kind: openai, api_key: k}}
  router: {{kind: openai-compatible, base_url: "http://127.0.0.1:9/v1"}}
  local: {{kind: scripted}}
models: {{fast: {{route: [openai/gpt-5-mini]}}}}
"""
PLAIN = "Day,Model,Amount\n2026-07-01,gpt-5-mini,1.00\n2026-07-02,gpt-5-mini,2\n"
COLUMNS = "date=Day,model=Model,cost=Amount"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, sqlite_url: str) -> Path:
    (tmp_path / "frontdesk.yaml").write_text(SETTINGS.format(url=sqlite_url))
    asyncio.run(_fill(sqlite_url))
    return tmp_path


async def _fill(url: str) -> None:
    """A dollar of gpt-5-mini on the first of July, two on the second; three attempts of others."""
    database = await open_beside(url)
    second = JULY_MS + DAY_MS
    await keep(
        database,
        [a_turn("t1")],
        [
            an_attempt("t1", cost_micros=400_000, input_tokens=60_000, output_tokens=11_000),
            an_attempt("t1", number=2, cost_micros=600_000, cost_source="estimate"),
            an_attempt("t1", number=3, cost_micros=2_000_000, started_at_ms=second),
            an_attempt("t1", number=4, provider="router", model="x", cost_micros=5),
            an_attempt("t1", number=5, provider="left", model="y", cost_micros=500_000),
            an_attempt("t1", number=6, model="gpt-6", cost_micros=None, cost_source=None, started_at_ms=second),
        ],
    )
    await database.close()


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command on a file of this text; returns its status and what it printed, or why it could not."""

    def runs(text: str | None, *options: str) -> tuple[int, str]:
        file = folder / "invoice.csv"
        if text is not None:
            file.write_text(text)
        try:
            main(["reconcile", str(file), "--config", str(folder / "frontdesk.yaml"), *options])
        except SystemExit as ended:
            printed = capsys.readouterr()
            status = ended.code if isinstance(ended.code, int) else 1
            return status, printed.out or (printed.err if isinstance(ended.code, int) else str(ended.code))
        return 0, capsys.readouterr().out

    return runs


def compared(run: Run, text: str, *options: str) -> tuple[int, Any]:
    status, said = run(text, "--provider", "openai", "--json", *options)
    return status, json.loads(said)


# --- what it prints -----------------------------------------------------------------------------


def test_what_agrees_ends_well(run: Run, folder: Path) -> None:
    status, said = run(PLAIN, "--provider", "openai", "--columns", COLUMNS)

    file = folder / "invoice.csv"
    assert (status, said.splitlines()) == (
        0,
        [
            f"{file} and the ledger's attempts of 'openai', 2026-07-01 to 2026-07-02, UTC:",
            "",
            "day         model         ledger   invoice  difference      %",
            "2026-07-01  gpt-5-mini  1.000000  1.000000           0  +0.00",
            "2026-07-02  gpt-5-mini  2.000000  2.000000           0  +0.00",
            "2026-07-02  gpt-6       0.000000                     0         only in the ledger",
            "-" * 81,
            "all                     3.000000  3.000000           0  +0.00",
            "",
            "! 1 attempt has no price here and cost $0 above: gpt-6. Name their prices under 'prices'.",
            "! $0.60 of the ledger are estimates: answers that broke off, or were left.",
            "They agree within 0.5 % or $0.01, whichever is more.",
        ],
    )


def test_what_differs_ends_with_1_and_says_where(run: Run) -> None:
    status, said = run(
        PLAIN.replace(",2\n", ",1.5\n2026-07-02,whisper,$1\n"), "--provider", "openai", "--columns", COLUMNS
    )

    assert status == 1
    lines = said.splitlines()
    assert "2026-07-02  gpt-5-mini  2.000000  1.500000   +0.500000   +33.33  beyond" in lines
    assert "2026-07-02  whisper               1.000000   -1.000000  -100.00  beyond, only in the invoice" in lines
    assert lines[-1] == "They differ by more than 0.5 % or $0.01, whichever is more: 2 lines and the total."


def test_programs_read_the_same(run: Run) -> None:
    status, said = compared(run, PLAIN.replace("Amount", "cost"), "--columns", "date=day,model=model,cost=cost")

    assert status == 0
    assert {name: said[name] for name in ("ok", "kind", "provider", "from", "to", "compared", "tolerance")} == {
        "ok": True,
        "kind": None,
        "provider": "openai",
        "from": "2026-07-01",
        "to": "2026-07-03",
        "compared": "costs",
        "tolerance": {"percent": 0.5, "usd": 0.01},
    }
    assert said["lines"][0] == {
        "day": "2026-07-01",
        "model": "gpt-5-mini",
        "ledger": {"usd": 1.0, "input_tokens": 60_000, "output_tokens": 11_000},
        "invoice": {"usd": 1.0, "input_tokens": None, "output_tokens": None},
        "difference": {"usd": 0.0, "input_tokens": None, "output_tokens": None},
        "percent": 0.0,
        "is_within": True,
    }
    assert said["totals"]["ledger"]["usd"] == 3.0
    assert (said["only_in_ledger"], said["only_in_invoice"]) == ([{"day": "2026-07-02", "model": "gpt-6"}], [])
    assert len(said["notes"]) == 2


def test_files_of_providers_need_no_columns(run: Run) -> None:
    status, said = compared(run, files.OPENAI_COSTS, "--to", "2026-07-02")

    assert (status, said["kind"]) == (0, "OpenAI's export of costs")
    assert said["notes"][-1] == "Outside of these days the file has 1 line by day and model."
    status, said = compared(run, files.OPENAI_COSTS)
    assert (status, said["only_in_invoice"]) == (1, [{"day": "2026-07-03", "model": "web-search-tool-calls"}])


def test_tokens_are_compared_where_a_file_has_no_costs(run: Run) -> None:
    status, said = compared(run, files.OPENAI_USAGE)
    assert (status, said["compared"], said["totals"]["invoice"]["usd"]) == (0, "tokens", None)
    assert said["lines"][0]["difference"] == {"usd": None, "input_tokens": 0, "output_tokens": 0}

    status, text = run(files.OPENAI_USAGE.replace("59200.0", "80000.0"), "--provider", "openai")
    assert status == 1
    assert "2026-07-01  gpt-5-mini        60,000     -20,800         11,000          +0  beyond" in text.splitlines()
    assert "more than 0.5 %: 1 line and the total." in text


# --- what may be asked --------------------------------------------------------------------------


def test_days_are_narrowed(run: Run) -> None:
    status, said = compared(run, PLAIN, "--columns", COLUMNS, "--from", "2026-07-02", "--to", "2026-07-04")

    assert status == 0
    assert [line["day"] for line in said["lines"]] == ["2026-07-02", "2026-07-02"]


@pytest.mark.parametrize(
    ("tolerance", "status"), [("0", 1), ("0.04", 1), ("0.05", 0), ("$0.05", 0), ("5%", 0), ("4.7%", 1), ("4.8 %", 0)]
)
def test_a_tolerance_is_an_amount_or_a_share(run: Run, tolerance: str, status: int) -> None:
    text = PLAIN.replace("1.00", "1.05")

    assert compared(run, text, "--columns", COLUMNS, "--tolerance", tolerance)[0] == status


def test_models_may_have_other_names(run: Run) -> None:
    renamed = PLAIN.replace("gpt-5-mini", "GPT-5 mini (global)")

    assert compared(run, renamed, "--columns", COLUMNS)[0] == 1
    status, said = compared(run, renamed, "--columns", COLUMNS, "--models", "GPT-5 mini (global)=gpt-5-mini")
    assert (status, said["only_in_invoice"]) == (0, [])


def test_a_provider_that_is_configured_no_more_is_still_in_the_ledger(run: Run) -> None:
    text = "Day,Model,Amount\n2026-07-01,y,0.5\n"

    assert run(text, "--provider", "left", "--columns", COLUMNS)[0] == 0


def test_where_one_provider_charges_it_need_not_be_named(run: Run, folder: Path) -> None:
    config = folder / "frontdesk.yaml"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "router" not in line))

    status, said = run(PLAIN, "--columns", COLUMNS)

    assert (status, "attempts of 'openai'" in said) == (0, True)


def test_each_tenant_has_its_own_ledger(run: Run) -> None:
    status, said = compared(run, PLAIN, "--columns", COLUMNS, "--tenant", "acme")

    assert (status, said["totals"]["ledger"]["usd"]) == (1, 0.0)
    assert said["notes"] == ["The ledger has no attempt of this provider in these days."]


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (None, [], "invoice.csv cannot be read: No such file"),
        (PLAIN, [], "Its columns are of no file that is known: day, model, amount."),
        (PLAIN, ["--columns", COLUMNS], "Say whose it is: --provider NAME. Configured: openai, router."),
        (
            PLAIN,
            ["--columns", COLUMNS, "--provider", "opnai"],
            "--provider is 'opnai', which is neither configured nor in the ledger of these days. Known: left, openai, ",
        ),
        (PLAIN.replace("2\n", "two\n"), ["--columns", COLUMNS], "line 3: 'amount': 'two' is no amount of US dollars."),
        (PLAIN, ["--columns", COLUMNS, "--from", "2027-01-01"], "--from is 2027-01-01 and --to is 2026-07-03"),
        (PLAIN, ["--columns", COLUMNS, "--to", "2099-01-01"], "more than 3660 days. Narrow it with --from and --to."),
        (files.OPENAI_USAGE, ["--tolerance", "0.05"], "Give it in percent, as 0.5%"),
    ],
)
def test_a_mistake_ends_with_1_and_its_remedy(run: Run, text: str | None, options: list[str], says: str) -> None:
    status, said = run(text, *options)

    assert status == 1
    assert says in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--columns", "when=Day"], "'when' is none of: date, model, cost, input_tokens, output_tokens"),
        (["--columns", "date"], "'date' is not NAME=NAME, each once"),
        (["--columns", "date=a,date=b"], "'date=b' is not NAME=NAME, each once"),
        (["--models", "=x"], "'=x' is not NAME=NAME, each once"),
        (["--from", "1 July"], "'1 July' is no day as 2026-07-31"),
        (["--to", "2026-02-30"], "'2026-02-30' is no date"),
        (["--tolerance", "some"], "'some' is no amount"),
        (["--tolerance", "-1%"], "less than nothing"),
    ],
)
def test_an_option_that_cannot_be_is_told(run: Run, options: list[str], says: str) -> None:
    status, said = run(PLAIN, *[f"{options[0]}={options[1]}"])

    assert status == 2
    assert says in said
