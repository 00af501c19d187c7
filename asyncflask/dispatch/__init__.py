"""Request handling, written once for both drivers, in Flask's orders."""
