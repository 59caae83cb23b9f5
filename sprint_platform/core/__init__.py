"""What everything else stands on: errors, settings, locks."""
