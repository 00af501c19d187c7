"""``asyncflask doctor``: what of an app is different here from Flask under WSGI, or unsafe.

`command` loads the app and prints; the checks are in the other modules, a small function each,
and `checks` lists them. A check reads: it sends no request, and runs none of the app's handlers.
"""

from __future__ import annotations

from .command import doctor_command as doctor_command
