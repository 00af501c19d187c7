"""Apps and blueprints without I/O: what is registered on them, and how it is looked up.

Arrows point down:
``blueprints > registration > app > (urls | templates | errors | registrable) > scaffold``.
"""
