"""The dashboard: the published marts in a browser.

``app.py`` is the application, ``view.py`` reads the address, ``published.py`` the data. A page is
a module with a function ``page(con, view)``; its SQL is in ``queries``, its figures are made by
``charts.py`` and its parts by ``parts.py``.
"""
