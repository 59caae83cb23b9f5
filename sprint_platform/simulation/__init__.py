"""Pure simulation of a title: integers in, Arrow tables out; no files, no clock, no database."""
