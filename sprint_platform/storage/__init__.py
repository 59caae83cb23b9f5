"""What is made and loaded: partition files, their digests, and the ledger."""
