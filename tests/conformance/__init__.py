"""The suites of Flask and of its extensions, run under Flask and under asyncflask.

``python -m tests.conformance --help`` says how; `suites.toml` says which.
"""
