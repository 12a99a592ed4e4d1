from dataclasses import replace
from pathlib import Path

import pytest

from tools import setup
from tools.setup import Debian, Machine, SetupError, Step, bring


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "lock.txt").write_text("one")
    return Machine(tmp_path, {"PATH": "/usr/bin:/bin"})


STEP = Step("packages", "Installing the packages", reads=("lock.txt",), work=lambda _: None)


def test_step_is_done_only_after_it_was_done(machine: Machine) -> None:
    assert not machine.is_done(STEP)

    machine.do(STEP)

    assert machine.is_done(STEP)


def test_step_is_open_again_when_what_it_read_changes(machine: Machine) -> None:
    machine.do(STEP)

    (machine.root / "lock.txt").write_text("two")

    assert not machine.is_done(STEP)


def test_step_is_open_again_when_what_it_made_is_gone(machine: Machine) -> None:
    step = replace(STEP, makes=("made",), work=lambda machine: (machine.root / "made").touch())
    machine.do(step)
    assert machine.is_done(step)

    (machine.root / "made").unlink()

    assert not machine.is_done(step)


def test_step_for_what_is_missing_is_never_done(machine: Machine) -> None:
    step = replace(STEP, is_missing=True)

    machine.do(step)

    assert not machine.is_done(step)


def test_step_that_fails_again_is_not_taken_for_done(machine: Machine) -> None:
    machine.do(STEP)

    with pytest.raises(SetupError):
        machine.do(replace(STEP, work=lambda machine: machine.call("false")))

    assert not machine.is_done(STEP)


def test_clone_that_moved_starts_again(machine: Machine, tmp_path: Path) -> None:
    machine.do(STEP)

    moved = machine.root.rename(tmp_path.parent / f"{tmp_path.name} moved")

    assert not Machine(moved, {}).is_done(STEP)


def test_what_is_to_be_downloaded_is_said_before_the_first_step(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    first = replace(STEP, megabytes=90, work=lambda _: said.append(capsys.readouterr().out))

    bring(machine, [first, replace(STEP, name="other", megabytes=10)])

    assert said == [
        "To set up, once: 2 steps, about 100 MB to download.\n  1/2 Installing the packages (90 MB) ",
    ]


def test_nothing_is_said_when_all_is_done(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.do(STEP)

    bring(machine, [STEP])

    assert capsys.readouterr().out == ""


def test_a_new_virtual_environment_is_filled_anew(machine: Machine) -> None:
    machine.do(STEP)
    done: list[str] = []
    packages = replace(STEP, work=lambda _: done.append("packages"))
    environment = replace(setup.VIRTUAL_ENVIRONMENT, work=lambda _: done.append("environment"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "VIRTUAL_ENVIRONMENT", environment)
        bring(machine, [environment, packages])

    assert done == ["environment", "packages"]


def test_failure_tells_the_command_and_what_it_said(machine: Machine) -> None:
    with pytest.raises(SetupError) as failure:
        machine.call("sh", "-c", "echo first; echo last; exit 3")

    assert str(failure.value) == "This failed: sh -c echo first; echo last; exit 3\n    first\n    last"


def test_long_output_keeps_its_beginning_and_its_end() -> None:
    lines = setup.shortened("\n".join(str(number) for number in range(100))).split()

    assert lines == [*map(str, range(15)), "...", *map(str, range(70, 100))]


@pytest.mark.parametrize(
    ("version", "is_good"),
    [
        ("v18.20.4\n", False),
        ("v20.18.3", False),
        ("v20.19.0", True),
        ("v21.7.3", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.19.0", True),
        ("v26.0.0", True),
        ("", False),
        ("command not found", False),
    ],
)
def test_node_must_be_one_that_builds_the_web_pages(version: str, *, is_good: bool) -> None:
    assert setup.is_good_node(version) is is_good


def test_virtual_environment_that_was_moved_is_not_used(tmp_path: Path) -> None:
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").touch()
    pip = programs / "pip"

    pip.write_text(f"#!{programs}/python\n")
    assert setup.is_usable(tmp_path / ".venv")

    pip.write_text("#!/elsewhere/.venv/bin/python\n")
    assert not setup.is_usable(tmp_path / ".venv")


def test_files_of_a_folder_come_in_order_and_without_what_was_installed(tmp_path: Path) -> None:
    for name in ("web/b.ts", "web/a/c.ts", "web/node_modules/x.js", "lock.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    found = [str(path.relative_to(tmp_path)) for path in setup.files_of(tmp_path, ["web", "lock.txt", "missing"])]

    assert found == ["web/b.ts", "web/a/c.ts", "lock.txt"]


class Told(Machine):
    """Keeps what it would run."""

    def call(self, *command: str, folder: str = ".") -> str:
        self.commands = [*getattr(self, "commands", []), (folder, command)]
        return ""


def test_peers_land_in_an_environment_of_their_own_by_hash(tmp_path: Path) -> None:
    machine = Told(tmp_path, {})

    setup.PEERS.work(machine)
    setup.WEB_PEERS.work(machine)

    (_, making), (_, installing), (folder, npm) = machine.commands
    assert making[1:] == ("-m", "venv", "--clear", "--without-pip", str(tmp_path / ".venv-peers"))
    assert installing[0] == str(tmp_path / ".venv" / "bin" / "python")
    assert {f"--python={tmp_path / '.venv-peers'}", "--require-hashes", "requirements/peers.txt"} <= set(installing)
    assert (folder, npm[:2]) == ("tests/peers/js", ("npm", "ci"))


def missing(*, is_needed: bool) -> Debian:
    return Debian("nowhere", programs=("no-such-program",), megabytes=7, is_needed=is_needed)


def test_debians_packages_are_installed_where_root_can(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(setup.shutil, "which", lambda name, **_: name if name == "apt-get" else None)

    (step,) = setup.steps_for_debian(machine, [missing(is_needed=True), missing(is_needed=False)])

    assert (step.says, step.megabytes) == ("Installing Debian's nowhere, nowhere", 14)


def test_what_only_root_can_install_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)

    with pytest.raises(SetupError, match="sudo apt-get install nowhere"):
        setup.steps_for_debian(machine, [missing(is_needed=True)])
    assert setup.steps_for_debian(machine, [missing(is_needed=False)]) == []


def test_what_is_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").touch()

    assert Debian("shell", programs=("no-such-program", "sh")).is_there("/bin")
    assert Debian("font", file=str(tmp_path / "font.ttf")).is_there("")
    assert Debian("library", library="libc.so.6").is_there("")
    assert not Debian("library", library="libnowhere.so.9").is_there("")
