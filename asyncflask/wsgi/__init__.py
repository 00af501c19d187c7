"""WSGI: our app under a WSGI server, and a WSGI app inside ASGI."""
