"""`make bench`: how fast, how small. Speed is measured here and asserted nowhere in the tests."""
