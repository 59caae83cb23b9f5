"""Posting a line of text to a webhook that takes Slack's JSON: ``{"text": …}``."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request

from sprint_platform.core.errors import CONNECTION_STRING, SprintError, one_line
from sprint_platform.core.settings import secrets, variable

# Slack answers within a second; a tick of a sensor has a minute for all that it does.
SECONDS_TO_ANSWER = 10.0


class WebhookError(SprintError):
    """The post was not taken. The message does not have the webhook's address, which is secret."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would go on as a GET, which loses the text and looks like success."""

    def redirect_request(self, *_: object) -> None:
        return None


def post(url: str, text: str) -> None:
    """Posts the text. Raises WebhookError where the endpoint cannot be reached, does not answer in
    time, or answers with anything but success."""
    request = urllib.request.Request(
        url,
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "sprint-platform"},
        method="POST",
    )
    name = variable("webhook_url")
    try:
        # the setting takes http:// and https:// alone
        opener = urllib.request.build_opener(_NoRedirect())
        with opener.open(request, timeout=SECONDS_TO_ANSWER):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise WebhookError(f"{name}: the webhook answered {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WebhookError(f"{name}: the webhook was not reached ({one_line(reason)})") from None


def shareable(text: str) -> str:
    """The text in one line, as Slack's markup has it. A text with a secret is left out whole:
    masking it would show where it is, and garble texts where it is a common word."""
    if CONNECTION_STRING.search(text) or any(secret in text for secret in secrets()):
        return "the message quotes how to get in, and is left out"
    # `<!channel>` in an error would ring everybody's bell
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
