"""What everything else uses: errors, settings, locks, signals."""
