"""The part of a blueprint that an app knows."""

from __future__ import annotations

import pytest

from asyncflask.sansio.app import App
from asyncflask.sansio.registrable import Registrable


def test_registration_is_the_subclass_s(app: App) -> None:
    with pytest.raises(NotImplementedError):
        app.register_blueprint(Registrable("bp", "plain"))


def test_app_hands_itself_and_the_options(app: App) -> None:
    seen = []

    class Own(Registrable):
        def register(self, app: App, options: dict[str, object]) -> None:
            seen.append((app, options))

    app.register_blueprint(Own("bp", "plain"), url_prefix="/x")
    assert seen == [(app, {"url_prefix": "/x"})]
