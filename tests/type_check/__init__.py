"""Typed apps, for the type checker alone: that it accepts them, with no cast, is the test."""
