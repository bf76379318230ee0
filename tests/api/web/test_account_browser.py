"""Signing in with a provider's account in a real browser: from another site and back, with a session of this one."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import Watched, chromium, violations
from tests.support.openid_provider import CLIENT, GROUPS, SECRET, openid_provider
from tests.support.service_process import ServiceProcess
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.browser
expect.set_options(timeout=HANG_SECONDS * 1000 / 4)


def test_a_person_signs_in_with_an_account_of_another_site(tmp_path):
    with openid_provider() as provider, chromium() as browser:
        service = ServiceProcess(
            tmp_path / "data",
            BRINK_ENGINE="inline",
            BRINK_AUTH="keys",
            BRINK_OIDC_ISSUER=provider.issuer,
            BRINK_OIDC_CLIENT_ID=CLIENT,
            BRINK_OIDC_CLIENT_SECRET=SECRET,
            BRINK_OIDC_NAME="the Ministry",
            BRINK_OIDC_OWNER_CLAIM="preferred_username",
            BRINK_OIDC_GROUPS=json.dumps(GROUPS),
        )
        # To a browser, localhost and 127.0.0.1, where the provider is, are two sites.
        url = f"http://localhost:{service.port}"
        person = Watched(browser, url)
        person.expected = ["401", "403"]
        try:
            page = person.page
            page.goto("/run")
            expect(page).to_have_url(re.compile("/sign-in[?]next="))
            assert violations(page) == []
            provider.set(account={"preferred_username": "eve", "groups": ["choir"]})
            page.get_by_role("link", name="Sign in with the Ministry").click()
            expect(page.locator("#refused")).to_contain_text("eve is in no group")
            provider.set(account={"preferred_username": "ann", "groups": ["analysts"]})
            page.goto("/run")
            page.get_by_role("link", name="Sign in with the Ministry").click()
            expect(page).to_have_url(f"{url}/run")
            expect(page.locator("#account")).to_contain_text("ann")
            page.get_by_role("button", name="Sign out").click()
            expect(page).to_have_url(re.compile("/sign-in"))
            page.goto("/run")
            expect(page).to_have_url(re.compile("/sign-in[?]next="))
            strange = [one for one in person.misdeeds() if not one.startswith(provider.issuer)]
            assert strange == []
        finally:
            person.context.close()
            service.stop()
