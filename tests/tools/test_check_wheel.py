from tools.check_wheel import check_names, versions_of

WHEEL = [
    "frontdesk/__init__.py",
    "frontdesk/limits/take.lua",
    "frontdesk/prices/snapshot.json",
    "frontdesk/py.typed",
    "frontdesk/storage/migrations/versions/0001_first.py",
    "frontdesk/web/chat/index.html",
    "frontdesk-0.1.0.dist-info/METADATA",
    "frontdesk-0.1.0.dist-info/licenses/LICENSE",
]


def test_whole_wheel_passes() -> None:
    assert list(check_names(WHEEL)) == []


def test_wheel_without_web_pages_or_migrations_fails() -> None:
    names = [name for name in WHEEL if "web" not in name and "migrations" not in name]

    assert list(check_names(names)) == [
        "lacks frontdesk/web/chat/index.html",
        "lacks frontdesk/storage/migrations/versions/*.py",
    ]


def test_wheel_with_more_than_the_package_fails() -> None:
    assert list(check_names([*WHEEL, "tests/test_a.py", "frontdesk/web/chat/a.js.map"])) == [
        "has tests/test_a.py, which is not of the package",
        "has frontdesk/web/chat/a.js.map, which nobody needs",
    ]


def test_versions_of_a_lock_are_kept_without_its_hashes() -> None:
    lock = "# Written.\nnumpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:ab\nuvloop==0.23.0 \\\n"

    assert versions_of(lock) == "numpy==2.4.6 ; python_full_version < '3.12' \nuvloop==0.23.0 "
