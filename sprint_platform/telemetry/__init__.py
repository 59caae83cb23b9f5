"""What a record is, wherever it comes from: contracts, and the partition files that hold it."""
