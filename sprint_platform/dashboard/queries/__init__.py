"""The dashboard's questions: each function asks the published marts one, in SQL.

A title's schema is ``<title>_mart``. Counts are added up over countries and shares are made of the
sums, as the marts' descriptions say. A function that takes a country takes None for all of them.
"""
