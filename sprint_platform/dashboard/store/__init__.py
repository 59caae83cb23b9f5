"""The pages of the web store."""
