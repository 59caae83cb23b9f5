"""The dashboard's queries on the published marts, a function each.

A title's schema is ``<title>_mart``. Counts are added up over countries and shares are made of the
sums, as the marts' descriptions say. ``country`` None is all countries.
"""
