"""docs/identity-providers.md does what it says: each of its tokens is made, and read by the settings beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from frontdesk.accounts.issuers import Issuers
from frontdesk.accounts.key_sources import UrlSource
from frontdesk.core.config import Attestation, Auth, Issuer, load_config
from frontdesk.core.errors import Unauthenticated
from tests.accounts.identity_provider import NOW, HandTime, SigningKey, eddsa, es256, key_set, rs256

PAGE = Path(__file__).parents[2] / "docs" / "identity-providers.md"
SIGNERS: dict[str, Callable[[str], SigningKey]] = {"RS256": rs256, "ES256": es256, "EdDSA": eddsa}


_PARTS = re.compile(r"^#+ (?P<heading>[^\n]+)$|^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Recipe(NamedTuple):
    """A heading's settings, and the token that is read by them."""

    name: str
    settings: dict[str, Any]
    token: dict[str, Any]


def recipes() -> list[Recipe]:
    found: list[Recipe] = []
    heading, settings = "", None
    for part in _PARTS.finditer(PAGE.read_text()):
        if part["heading"]:
            heading = part["heading"]
        elif part["kind"] == "yaml":
            assert settings is None, f"{heading}: settings without a token"
            settings = yaml.safe_load(part["text"])
        elif part["kind"] == "json":
            assert settings is not None, f"{heading}: a token without settings"
            found.append(Recipe(heading, settings, json.loads(part["text"])))
            settings = None
    return found


RECIPES = recipes()
by_name = pytest.mark.parametrize("recipe", RECIPES, ids=[each.name for each in RECIPES])


def auth_of(recipe: Recipe) -> Auth:
    return msgspec.convert(recipe.settings["auth"], Auth)


def sources(auth: Auth) -> list[Issuer | Attestation]:
    return [*auth.jwt, *(app.attestation for app in auth.apps.values() if app.attestation is not None)]


def with_keys(entry: Any, file: Path) -> Any:
    return msgspec.structs.replace(entry, jwks_url=None, jwks_file=str(file))


async def issuers_of(auths: list[Auth], keys: list[SigningKey], folder: Path) -> Issuers:
    """The issuers of some settings, whose keys are these."""
    file = folder / "keys.json"
    file.write_bytes(key_set(keys))
    time = HandTime()
    issuers = Issuers(
        [with_keys(entry, file) for auth in auths for entry in auth.jwt],
        {
            name: app
            if app.attestation is None
            else msgspec.structs.replace(app, attestation=with_keys(app.attestation, file))
            for auth in auths
            for name, app in auth.apps.items()
        },
        time,
        time.sleep,
    )
    assert await issuers.probe() == []
    return issuers


def key_of(recipe: Recipe) -> SigningKey:
    header = recipe.token["header"]
    key = SIGNERS[header["alg"]](header["kid"])
    if recipe.name == "Microsoft Entra ID":
        key.jwk.pop("alg", None)
    return key


def minted(recipe: Recipe, **changes: Any) -> str:
    # As it stands on the page: what the header does not have, the token has not.
    header = {"typ": None, **recipe.token["header"]}
    claims = {**recipe.token["claims"], **changes}
    return key_of(recipe).token({name: value for name, value in claims.items() if value is not None}, header)


def test_the_page_has_all_providers() -> None:
    assert [each.name for each in RECIPES] == [
        "Auth0",
        "Clerk",
        "Firebase",
        "App Check",
        "Supabase",
        "Amazon Cognito",
        "Amazon Cognito",
        "Microsoft Entra ID",
        "Keycloak",
        "Any other",
    ]


@by_name
async def test_a_token_of_the_page_is_read_by_its_settings(recipe: Recipe, tmp_path: Path) -> None:
    issuers = await issuers_of([auth_of(recipe)], [key_of(recipe)], tmp_path)
    said = recipe.token
    assert said["claims"]["iat"] == NOW, "the page's tokens are new"

    if "attests" in said:
        assert await issuers.attested_app(minted(recipe)) == (said["attests"], said["claims"]["exp"])
        return
    found = await issuers.identify(minted(recipe))

    becomes = said["becomes"]
    assert found.person == becomes["user"]
    assert found.tier == becomes["tier"]
    assert list(found.groups) == becomes["groups"]
    assert (None if found.features is None else sorted(found.features)) == becomes["features"]
    assert found.app == becomes.get("app")
    assert (found.issued_at, found.expires_at) == (NOW, said["claims"]["exp"])


@by_name
async def test_without_what_a_recipe_requires_its_token_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    issuers = await issuers_of([auth_of(recipe)], [key_of(recipe)], tmp_path)
    work = issuers.attested_app if "attests" in recipe.token else issuers.identify
    entry = sources(auth_of(recipe))[0]
    needed = ["iss", "sub" if isinstance(entry, Attestation) else entry.claims.user, "exp"]
    if isinstance(entry, Issuer):
        needed += [entry.audience_claim, *entry.require]

    for name in needed:
        with pytest.raises(Unauthenticated):
            await work(minted(recipe, **{name: None}))


@by_name
def test_the_settings_of_the_page_are_taken(recipe: Recipe, tmp_path: Path) -> None:
    auth = auth_of(recipe)
    for entry in sources(auth):
        if entry.jwks_file is None:
            assert UrlSource(entry.jwks_url or "")
            continue
        entry.jwks_file = str(tmp_path / entry.jwks_file)
        Path(entry.jwks_file).parent.mkdir()
        Path(entry.jwks_file).write_bytes(key_set([key_of(recipe)]))
    tiers = {tier: {} for entry in auth.jwt for tier in entry.tiers.values()}
    rest = {"tiers": tiers, "default_tier": next(iter(tiers))} if tiers else {}
    (tmp_path / "frontdesk.yaml").write_text(yaml.safe_dump({**recipe.settings, **rest}))

    assert load_config(tmp_path / "frontdesk.yaml", {}).auth == auth


async def test_both_tokens_of_cognito_side_by_side(tmp_path: Path) -> None:
    both = [each for each in RECIPES if each.name == "Amazon Cognito"]
    issuers = await issuers_of([auth_of(each) for each in both], [key_of(each) for each in both], tmp_path)

    for recipe in both:
        assert (await issuers.identify(minted(recipe))).tier == "premium"


async def test_all_of_the_page_side_by_side(tmp_path: Path) -> None:
    """No token of one is taken for another's."""
    issuers = await issuers_of([auth_of(each) for each in RECIPES], [key_of(each) for each in RECIPES], tmp_path)

    for recipe in RECIPES:
        if "attests" in recipe.token:
            assert (await issuers.attested_app(minted(recipe)))[0] == recipe.token["attests"]
            with pytest.raises(Unauthenticated):
                await issuers.identify(minted(recipe))
        else:
            assert (await issuers.identify(minted(recipe))).person == recipe.token["becomes"]["user"]
            with pytest.raises(Unauthenticated):
                await issuers.attested_app(minted(recipe))


async def test_what_the_page_says_is_not_taken(tmp_path: Path) -> None:
    supabase, keycloak = (next(each for each in RECIPES if each.name == name) for name in ("Supabase", "Keycloak"))
    issuers = await issuers_of([auth_of(supabase), auth_of(keycloak)], [key_of(supabase), key_of(keycloak)], tmp_path)

    for token in (
        minted(supabase, is_anonymous=True),
        minted(supabase, role="service_role"),
        key_of(supabase).token(supabase.token["claims"], {"alg": "HS256"}),
        minted(keycloak, typ="ID"),
        minted(keycloak, aud="account"),
        minted(keycloak, sub=None),
    ):
        with pytest.raises(Unauthenticated):
            await issuers.identify(token)
