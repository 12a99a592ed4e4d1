"""How callers are known: nobody's token can be taken for another's, and misfits are told with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.core.config import parse_config
from tests.core.config.problems import problems_of


def issuer(settings: str, rest: str = "") -> str:
    """A configuration with one issuer whose settings begin on line 3."""
    lines = settings.split("\n")
    entry = "".join(f"    {'- ' if number == 0 else '  '}{line}\n" for number, line in enumerate(lines))
    return f"auth:\n  jwt:\n{entry}{rest}"


GOOD = "issuer: https://a.example\naudience: app\njwks_url: https://a.example/keys"
NO_KEYS = "issuer: https://a.example\naudience: app"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            NO_KEYS,
            ["line 3: auth.jwt[0] needs jwks_url, where its keys are fetched, or jwks_file."],
        ),
        (
            f"{NO_KEYS}\njwks_url: http://a.example/keys?key=hidden",
            [
                (
                    "line 5: auth.jwt[0].jwks_url is 'http://a.example/keys'. Keys come by https; "
                    "http is for this machine alone."
                )
            ],
        ),
        (
            f"{NO_KEYS}\njwks_url: https://u:hidden@a.example/keys",
            [
                (
                    "line 5: auth.jwt[0].jwks_url has a user, and keys are public. "
                    "Write it without: 'https://a.example/keys'."
                )
            ],
        ),
        (
            f"{NO_KEYS}\njwks_url: 'https://a.example/keys#x'",
            ["line 5: auth.jwt[0].jwks_url has a '#', which is sent to no server. Leave out what begins there."],
        ),
        (
            f"{NO_KEYS}\njwks_url: a.example/keys",
            ["line 5: auth.jwt[0].jwks_url is 'a.example/keys'. It must begin with http:// or https://."],
        ),
        (
            "issuer: ''\naudience: app\njwks_url: https://a.example/keys",
            ["line 3: auth.jwt[0].issuer is empty. Write what the tokens' claim 'iss' says, letter by letter."],
        ),
        (
            "issuer: i\naudience: []\njwks_url: https://a.example/keys",
            [
                (
                    "line 4: auth.jwt[0].audience is empty. Write for whom the tokens are: "
                    "others' tokens of this issuer would be taken too."
                )
            ],
        ),
        (
            "issuer: i\naudience: [app, ' ']\njwks_url: https://a.example/keys",
            [
                (
                    "line 4: auth.jwt[0].audience is empty. Write for whom the tokens are: "
                    "others' tokens of this issuer would be taken too."
                )
            ],
        ),
        (
            "audience: app\njwks_url: https://a.example/keys",
            ["line 3: auth.jwt[0].issuer is missing. It must be a text."],
        ),
        (
            f"{GOOD}\nalgorithms: []",
            [
                (
                    "line 6: auth.jwt[0].algorithms is empty: no token could be valid. "
                    "Name some; leave it out for all that are served."
                )
            ],
        ),
        (
            f"{GOOD}\nalgorithms: [RS256, HS256]",
            [
                (
                    "line 6: auth.jwt[0].algorithms[1] is 'HS256'. It must be one of ES256, EdDSA, RS256. "
                    "Did you mean 'RS256'?"
                )
            ],
        ),
        (f"{GOOD}\nleeway_s: 301", ["line 6: auth.jwt[0].leeway_s is 301. It must be from 0 to 300."]),
        (f"{GOOD}\nleeway_s: -1", ["line 6: auth.jwt[0].leeway_s is -1. It must be from 0 to 300."]),
        (f"{GOOD}\nleeway_s: .nan", ["line 6: auth.jwt[0].leeway_s is nan. It must be from 0 to 300."]),
        (f"{GOOD}\napp: ios", ["line 6: auth.jwt[0].app names 'ios', which is not configured. Known: none."]),
        (
            f"{GOOD}\ntiers:\n  pro: paid",
            ["line 7: auth.jwt[0].tiers.pro names 'paid', which is not configured. Known: none."],
        ),
        (
            f"{GOOD}\naudience_claim: ''",
            ["line 6: auth.jwt[0].audience_claim names no claim. Write a name, or leave it out."],
        ),
        (
            f"{GOOD}\nclaims:\n  user: ''",
            ["line 7: auth.jwt[0].claims.user names no claim. Write a name, or leave it out."],
        ),
        (
            f"{GOOD}\nrequire: {{'': 1}}",
            ["line 6: auth.jwt[0].require names no claim. Write a name, or leave it out."],
        ),
        (
            f'{GOOD}\nuser_prefix: "a\\tb"',
            ["line 6: auth.jwt[0].user_prefix is 'a\\tb'. It may have at most 64 printable characters."],
        ),
        (
            f"{GOOD}\nuser_prefix: anon_x",
            [
                (
                    "line 6: auth.jwt[0].user_prefix is 'anon_x'. "
                    "Names that begin with 'anon_' are those of people without an account."
                )
            ],
        ),
        (
            f"{GOOD}\njwks_file: keys.json",
            [
                "line 3: auth.jwt[0] has jwks_url and jwks_file. Keep one: where its keys come from.",
                (
                    "line 6: auth.jwt[0].jwks_file is the file '{folder}/keys.json', which cannot be read: "
                    "No such file or directory."
                ),
            ],
        ),
    ],
)
def test_what_is_wrong_with_an_issuer(settings: str, told: list[str], tmp_path: Path) -> None:
    found = problems_of(issuer(settings), folder=tmp_path)

    assert sorted(found) == sorted(each.replace("{folder}", str(tmp_path)) for each in told)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/k", "http://localhost/k", "http://[::1]:9/k", "https://a.example/k?v=1"]
)
def test_where_keys_may_come_from(url: str) -> None:
    config = parse_config(issuer(f"{NO_KEYS}\njwks_url: '{url}'"), {})

    assert config.auth.jwt[0].jwks_url == url


def entry(name: str, audience: str = "app", **more: str) -> str:
    fields = {"issuer": name, "audience": audience, "jwks_url": f"https://{name}.example/keys", **more}
    return "    - {" + ", ".join(f"{field}: {value}" for field, value in fields.items()) + "}\n"


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (
            [entry("a"), entry("b")],
            [
                (
                    "line 4: auth.jwt[0] and auth.jwt[1] have the same user_prefix (''): "
                    "the user '1' of either issuer would be one person. Give each its own."
                )
            ],
        ),
        (
            [entry("a", user_prefix="x"), entry("b", user_prefix="y"), entry("c", user_prefix="x")],
            [
                (
                    "line 5: auth.jwt[0] and auth.jwt[2] have the same user_prefix ('x'): "
                    "the user '1' of either issuer would be one person. Give each its own."
                )
            ],
        ),
        (
            [entry("a"), entry("a")],
            [
                (
                    "line 4: auth.jwt[0] and auth.jwt[1] take tokens of the same issuer and audience ('app'). "
                    "Keep one of them."
                )
            ],
        ),
        (
            [entry("a", "[web, app]"), entry("a", "[ios, app]")],
            [
                (
                    "line 4: auth.jwt[0] and auth.jwt[1] take tokens of the same issuer and audience ('app'). "
                    "Keep one of them."
                )
            ],
        ),
    ],
)
def test_two_issuers_cannot_be_taken_for_each_other(entries: list[str], told: list[str]) -> None:
    assert problems_of(f"auth:\n  jwt:\n{''.join(entries)}") == told


@pytest.mark.parametrize(
    "entries",
    [
        [entry("a"), entry("b", user_prefix="'b:'")],
        [entry("a", "web"), entry("a", "ios")],
        [entry("a", require="{token_use: id}"), entry("a", audience_claim="client_id")],
    ],
)
def test_two_issuers_that_can_be_told_apart(entries: list[str]) -> None:
    assert len(parse_config(f"auth:\n  jwt:\n{''.join(entries)}", {}).auth.jwt) == 2


def attested(attestation: str, jwt: str = "") -> str:
    return f"auth:\n  apps:\n    ios:\n      attestation: {{{attestation}}}\n{jwt}"


ATTESTS = "issuer: c, audience: p, jwks_url: 'https://c.example/k'"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{ATTESTS}, subject: a", f"{ATTESTS}, subject: [b, c]"),
        (ATTESTS, ATTESTS.replace("audience: p", "audience: q")),
        (ATTESTS, ATTESTS.replace("issuer: c", "issuer: d")),
    ],
)
def test_two_apps_that_can_be_told_apart(one: str, other: str) -> None:
    text = attested(one, f"    web: {{attestation: {{{other}}}}}\n")

    assert list(parse_config(text, {}).auth.apps) == ["ios", "web"]


@pytest.mark.parametrize("url", ["ftp://a.example/k?key=hidden", "https://a.example:0/k?key=hidden", "a/k?hidden"])
def test_no_problem_of_an_address_tells_its_query(url: str) -> None:
    (told,) = problems_of(issuer(f"{NO_KEYS}\njwks_url: '{url}'"))

    assert repr(url.partition("?")[0]) in told
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            attested("issuer: c, audience: p"),
            "line 4: auth.apps.ios.attestation needs jwks_url, where its keys are fetched, or jwks_file.",
        ),
        (
            attested(f"{ATTESTS}, subject: []"),
            (
                "line 4: auth.apps.ios.attestation.subject is empty. "
                "Write the app's id there; leave it out for any app of its."
            ),
        ),
        (
            attested(f"{ATTESTS}, leeway_s: 400"),
            "line 4: auth.apps.ios.attestation.leeway_s is 400. It must be from 0 to 300.",
        ),
        (
            attested(f"{ATTESTS}, subjct: a"),
            "line 4: The setting 'auth.apps.ios.attestation.subjct' is unknown. Did you mean 'subject'?",
        ),
        (
            attested(ATTESTS.replace("https", "http")),
            (
                "line 4: auth.apps.ios.attestation.jwks_url is 'http://c.example/k'. Keys come by https; "
                "http is for this machine alone."
            ),
        ),
        (
            attested(ATTESTS, "  jwt:\n" + entry("c", "[p, q]")),
            (
                "line 4: auth.apps.ios.attestation and auth.jwt[0] take tokens of the same issuer and audience ('p'): "
                "a user's token would attest the app, or an app's token stand for a user. Change one's audience."
            ),
        ),
        (
            attested(f"{ATTESTS}, subject: a", f"    web:\n      attestation: {{{ATTESTS}}}\n"),
            (
                "line 6: auth.apps.ios.attestation and auth.apps.web.attestation take tokens of the same issuer and "
                "audience ('p'), and not both name a subject: each app could attest the other. "
                "Give each a subject of its own."
            ),
        ),
        (
            attested(
                f"{ATTESTS}, subject: [a, b]",
                f"    web:\n      attestation:\n        {{{ATTESTS.replace('p,', '[q, p],')},\n"
                "        subject: [c, b]}\n",
            ),
            (
                "line 8: auth.apps.ios.attestation and auth.apps.web.attestation take tokens of the same issuer and "
                "audience ('p') with the same subject ('b'): each app could attest the other. "
                "Give each a subject of its own."
            ),
        ),
        ("auth:\n  apps:\n    '': {}", "line 3: auth.apps has the name ''. It needs printable characters."),
        (
            "auth: {anonymous: true, anonymous_tier: gold}\ntiers: {free: {}}\ndefault_tier: free",
            "line 1: auth.anonymous_tier names 'gold', which is not configured. Known: free.",
        ),
        (
            "cors: {origins: ['*']}\nauth:\n  cookies: true",
            (
                "line 3: auth.cookies is on while cors.origins has '*': any site could act for people "
                "who are signed in. Name the origins."
            ),
        ),
        ("auth:\n  refresh_ttl_s: 59", "line 2: auth.refresh_ttl_s is 59. It must be from 60 to 31622400."),
        (
            "auth:\n  refresh_ttl_s: 31622401",
            "line 2: auth.refresh_ttl_s is 31622401. It must be from 60 to 31622400.",
        ),
        ("auth:\n  refresh_grace_s: 3601", "line 2: auth.refresh_grace_s is 3601. It must be from 0 to 3600."),
        (
            "auth:\n  refresh_ttl_s: 60\n  refresh_grace_s: 60",
            "line 3: auth.refresh_grace_s is 60. It must be less than auth.refresh_ttl_s, which is 60.",
        ),
        (
            "auth: {anonymous_sessions_per_device: 0}",
            "line 1: auth.anonymous_sessions_per_device is 0. It must be from 1 to 1000000.",
        ),
        (
            "auth: {anonymous_sessions_per_hour: 2000000}",
            "line 1: auth.anonymous_sessions_per_hour is 2000000. It must be from 1 to 1000000.",
        ),
        (
            "trusted_proxies:\n- 10.0.0.0/8\n- 10.0.0.1/8",
            (
                "line 3: trusted_proxies has '10.0.0.1/8', an address within a network. "
                "Write '10.0.0.0/8' or the address alone."
            ),
        ),
        (
            "trusted_proxies: [proxy.example]",
            (
                "line 1: trusted_proxies has 'proxy.example'. "
                "Write an address or a network: 10.0.0.7, 10.0.0.0/8, fd00::/8."
            ),
        ),
        (
            "tiers:\n  free:\n    features: [chta]\ndefault_tier: free\nfeatures: {chat: {}}",
            "line 3: tiers.free.features names 'chta', which is not configured. Did you mean 'chat'?",
        ),
        (
            "tiers:\n  free:\n    features: []\ndefault_tier: free",
            (
                "line 3: tiers.free.features is empty: people of this tier could use no feature. "
                "Name some; leave it out for all of them."
            ),
        ),
        (
            "tiers:\n  ' ': {}\ndefault_tier: ' '",
            "line 2: tiers has the name ' '. It needs 1 to 200 printable characters.",
        ),
        (
            'tiers:\n  "a\\tb": {}\ndefault_tier: "a\\tb"',
            "line 2: tiers has the name 'a\\tb'. It needs 1 to 200 printable characters.",
        ),
        (
            "tiers:\n  free: {}",
            "line 1: There are tiers but no default_tier. Name the one that counts where none is told.",
        ),
    ],
)
def test_what_is_wrong_with_who_may_call(text: str, told: str) -> None:
    assert problems_of(text) == [told]
