"""The engines: an open warehouse and its dialect each, and the one load into them."""
