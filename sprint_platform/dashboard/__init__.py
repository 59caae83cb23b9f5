"""The dashboard: what is published, in a browser.

``app.py`` is the application, ``view.py`` what the address asks for, ``published.py`` the way to
the data. A page is a module with a function ``page(con, view)``; its SQL lies in ``queries``, its
figures are made by ``charts.py`` and its parts by ``parts.py``.
"""
