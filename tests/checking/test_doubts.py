"""What a good configuration may mean otherwise: told with its place, and nothing told of a careful one."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.checking.doubts import doubts
from frontdesk.core.config import Feature
from frontdesk.core.config.problems import spelled
from tests.checking.loaded import settings_of

CAREFUL = """\
cors: {origins: ["https://app.example"]}
providers: {s: {kind: scripted}}
models:
  fast: {route: [s/echo]}
  best: {route: [s/echo]}
  vectors: {route: [s/x], kind: embeddings}
default_model: fast
features:
  chat:
    models: [fast, best]
    instructions: Speak {{tone}}.
    variables: {tone: {default: kindly}}
    client_may: [parameters]
    parameters: {temperature: 0.3}
    ceilings: {temperature: 0.5, n: 2}
  search: {models: [vectors]}
default_feature: chat
tiers:
  free: {models: [fast, vectors], requests_per_minute: 5}
  paid: {features: [chat]}
default_tier: free
auth:
  jwt:
    - {issuer: a, audience: app, jwks_url: "https://a.example/k", claims: {tier: plan}, tiers: {pro: paid}, app: ios,
       user_prefix: "a:"}
    - {issuer: b, audience: app, jwks_url: "https://b.example/k", user_prefix: "b:", app: web}
  apps:
    ios: {attestation: {issuer: c, audience: p, subject: 1, jwks_url: "https://c.example/k"}}
    web: {attestation: {issuer: c, audience: p, subject: 2, jwks_url: "https://c.example/k"}}
  cookies: true
trusted_proxies: [10.0.0.0/8, "fd00::/16", 192.0.2.7]
"""


def told(folder: Path, text: str) -> list[str]:
    """The doubts of a text, each after its place."""
    return [f"{spelled(place)}|{words}" for place, words in doubts(settings_of(folder, text))]


def test_a_careful_configuration_leaves_no_doubt(tmp_path: Path) -> None:
    assert told(tmp_path, CAREFUL) == []


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        (
            "default_feature: chat\n",
            "",
            "|There is no default_feature: requests of people that name no feature are answered with 400.",
        ),
        ("search: {models: [vectors]}", "search: {}", ""),
        (
            "default_feature: chat\n",
            "default_feature: search\n",
            (
                "default_feature|default_feature is 'search', and no model of it chats: "
                "chats of people that name no feature are refused."
            ),
        ),
        (
            "default_model: fast\n",
            "",
            "",
        ),
        (
            "variables: {tone: {default: kindly}}",
            "variables: {tone: {}, mood: {}}",
            (
                "features.chat.variables.mood|features.chat.variables.mood is not in the feature's instructions: "
                "what requests send for it is lost."
            ),
        ),
        (
            "    client_may: [parameters]\n",
            "",
            (
                "features.chat.ceilings|features.chat.ceilings mean nothing: client_may does not name 'parameters', "
                "so people may send none."
            ),
        ),
        (
            "    parameters: {temperature: 0.3}\n",
            "",
            (
                "features.chat.ceilings.temperature|features.chat.ceilings.temperature is 0.5, but where a request "
                "says nothing, providers take 1. Set features.chat.parameters too."
            ),
        ),
        (
            "features: [chat]}",
            "features: [search], models: [fast]}",
            (
                "tiers.paid|tiers.paid reaches no model: none of its features has one of its models.\n"
                "models.best|models.best is in no tier and feature together: only secret keys can use it."
            ),
        ),
        (
            "search: {models: [vectors]}",
            "search: {models: [vectors]}\n  secret: {models: [best]}",
            "features.secret|features.secret has no model in common with a tier: nobody can use it.",
        ),
        (
            "free: {models: [fast, vectors], ",
            "free: {models: [fast], features: [chat], ",
            (
                "features.search|features.search is in no tier's features: nobody can use it.\n"
                "models.vectors|models.vectors is in no tier and feature together: only secret keys can use it."
            ),
        ),
        (
            "free: {models: [fast, vectors], ",
            "free: {models: [fast, vectors], features: [search], ",
            (
                "default_feature|default_feature is 'chat', which the default tier 'free' does not have: "
                "its people must name another."
            ),
        ),
        (
            "default_model: fast",
            "  lost: {route: [s/echo]}\ndefault_model: fast",
            "models.lost|models.lost is in no tier and feature together: only secret keys can use it.",
        ),
        (
            "  cookies: true",
            "  cookies: true\n  anonymous_tier: free",
            "auth.anonymous_tier|auth.anonymous_tier is for nobody: auth.anonymous is off.",
        ),
        (
            "  cookies: true",
            "  anonymous: true\n  anonymous_tier: free",
            (
                "auth.anonymous|auth.anonymous is on: anybody who can reach the server may begin sessions without a "
                "credential, 20 an hour from one address."
            ),
        ),
        (
            "claims: {tier: plan}, ",
            "",
            "auth.jwt[0].tiers|auth.jwt[0].tiers maps nothing: claims.tier names no claim.",
        ),
        (
            'user_prefix: "b:"',
            'user_prefix: "a:b:"',
            (
                "auth.jwt[0].user_prefix|auth.jwt[0].user_prefix is 'a:', with which that of auth.jwt[1] begins "
                "('a:b:'): users of a whose names begin with 'b:' are refused, not taken for its users. "
                "Choose others if there are such."
            ),
        ),
        (
            "    web: {attestation: ",
            "    old:\n    web: {attestation: ",
            (
                "auth.apps.old|auth.apps.old has no attestation while ios, web has: "
                "who has a credential bound to 'old' needs none."
            ),
        ),
        (
            'user_prefix: "b:", app: web',
            'user_prefix: "b:"',
            (
                "auth.apps.web|auth.apps.web has attestation, but no issuer of auth.jwt is bound to it (app). "
                "Only sessions that your server begins for it are."
            ),
        ),
        (
            'cors: {origins: ["https://app.example"]}\n',
            "",
            (
                "auth.cookies|auth.cookies is on and there are no cors.origins: "
                "only pages that this host itself serves can use them."
            ),
        ),
        (
            "10.0.0.0/8",
            "0.0.0.0/0",
            (
                "trusted_proxies[0]|trusted_proxies has '0.0.0.0/0': everybody may say which address they have, "
                "and limits by address limit nobody. Name your proxies."
            ),
        ),
        (
            "    client_may: [parameters]\n",
            "    client_may: [parameters]\n    max_output_tokens: 500\n    context: {strategy: summary, tokens: 900}\n",
            (
                "features.chat.context.summary.words|features.chat.context.summary.words is 300, but "
                "features.chat.max_output_tokens is 500: summaries break off. Set fewer words, or 600 tokens."
            ),
        ),
        (
            "    client_may: [parameters]\n",
            (
                "    client_may: [parameters]\n    max_output_tokens: 500\n"
                "    context: {strategy: summary, tokens: 900, summary: {words: 250}}\n"
            ),
            "",
        ),
        (
            "  search: {models: [vectors]}\n",
            (
                "  search: {models: [vectors]}\n  summaries: {models: [fast], max_output_tokens: 99}\n"
                "  talk: {models: [fast], context: {strategy: summary, tokens: 900, summary: {words: 50}}}\n"
            ),
            (
                "features.talk.context.summary.words|features.talk.context.summary.words is 50, but "
                "features.summaries.max_output_tokens is 99: summaries break off. Set fewer words, or 100 tokens."
            ),
        ),
        (
            "fd00::/16",
            "::/0",
            (
                "trusted_proxies[1]|trusted_proxies has '::/0': everybody may say which address they have, "
                "and limits by address limit nobody. Name your proxies."
            ),
        ),
        (
            "10.0.0.0/8",
            "10.0.0.0/7",
            (
                "trusted_proxies[0]|trusted_proxies has '10.0.0.0/7': 33,554,432 addresses, of which each may say "
                "for whom it asks. Name your proxies."
            ),
        ),
    ],
)
def test_what_is_doubtful(tmp_path: Path, old: str, new: str, doubt: str) -> None:
    assert CAREFUL.count(old) == 1

    assert told(tmp_path, CAREFUL.replace(old, new)) == doubt.splitlines()


OTHER = (
    "features.chat.client_may|features.chat.client_may names 'other_parameters': people may send whatever a provider "
    "understands, under any name that Frontdesk does not know. That may get round "
)


@pytest.mark.parametrize(
    ("limits", "doubt"),
    [
        (Feature(models=["fast"]), [f"{OTHER}models."]),
        (Feature(max_output_tokens=5, ceilings={"n": 1}), [f"{OTHER}max_output_tokens, ceilings."]),
        (Feature(instructions="Be brief."), []),
    ],
)
def test_what_only_the_provider_knows_is_held_to_no_limit(tmp_path: Path, limits: Feature, doubt: list[str]) -> None:
    settings = settings_of(tmp_path, CAREFUL)
    limits.client_may = ["parameters", "other_parameters"]
    settings.config.features["chat"] = limits
    features = [words for words in doubts(settings) if words[0][:2] == ("features", "chat")]

    assert [f"{spelled(place)}|{words}" for place, words in features if "other_parameters" in words] == doubt


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "",
            [
                "|No models are configured: every request is answered with 404.",
                "|There is no default_model: requests that name no model are answered with 400.",
                "|There are no features: a user's token may send everything, as instructions and tools of its own.",
                "|There are no tiers: people may use every model, as often as they like.",
            ],
        ),
        (
            (
                "cors: {origins: ['*']}\nproviders: {s: {kind: scripted}}\nmodels: {m: {route: [s/echo]}}\n"
                "features: {f: {}}\ntiers: {t: {}}\ndefault_tier: t"
            ),
            [
                "|There is no default_model: requests that name no model are answered with 400.",
                "cors.origins|cors.origins has '*': pages of any site may call with a token that they hold.",
            ],
        ),
        (
            (
                "providers: {s: {kind: scripted}}\nmodels: {m: {route: [s/echo]}, o: {route: [s/echo]}}\n"
                "tiers: {t: {models: [o]}, u: {}}\ndefault_tier: t\ndefault_model: m"
            ),
            [
                "|There are no features: a user's token may send everything, as instructions and tools of its own.",
                (
                    "default_model|default_model is 'm', which the default tier 't' does not have: "
                    "its people must name another."
                ),
            ],
        ),
        (
            (
                "providers: {s: {kind: scripted}}\n"
                "models: {m: {route: [s/echo]}, v: {route: [s/x], kind: embeddings}}\n"
                "features: {f: {models: [v]}}\ntiers: {t: {models: [v]}, u: {}}\ndefault_tier: t\ndefault_model: m"
            ),
            [
                (
                    "features.f|features.f is the only feature, and no model of it chats: "
                    "chats of people that name no feature are refused."
                ),
                "models.m|models.m is in no tier and feature together: only secret keys can use it.",
            ],
        ),
        (
            (
                "providers: {s: {kind: scripted}}\nmodels: {v: {route: [s/x], kind: embeddings}}\n"
                "features: {f: {models: [v]}}\ntiers: {t: {}}\ndefault_tier: t"
            ),
            [],
        ),
    ],
)
def test_what_is_doubtful_of_the_whole(tmp_path: Path, text: str, found: list[str]) -> None:
    assert told(tmp_path, text) == found
