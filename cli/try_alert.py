"""`bq-sync test-alert`: sends a message to each channel, and prints which of them took it."""

from datetime import UTC, datetime

import click

from alerts.channels import Channels
from alerts.message import Site, trial
from config.settings import Settings, SettingsError


def try_alert(settings: Settings) -> int:
    """The exit code: 1 where a channel didn't take it.

    Raises:
        SettingsError: there is no channel.
    """
    channels = Channels(settings.alert_urls)
    if not len(channels):
        raise SettingsError(["alert_urls: is empty: set BQ_SYNC_ALERT_URLS to Apprise URLs, with spaces between them"])
    message = trial(Site(settings.site_id or None), datetime.now(UTC))
    outcome = channels.send(dict.fromkeys(range(len(channels)), message))
    for place, problem in outcome.items():
        click.echo(f"{channels.name(place)}: {problem or 'took it'}")
    return int(any(outcome.values()))
