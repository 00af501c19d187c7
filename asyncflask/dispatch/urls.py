"""URLs: the adapter that matches and builds them for one request, and `url_for`."""

from __future__ import annotations

import typing as t
import warnings
from urllib.parse import quote

from werkzeug.routing import BuildError, MapAdapter

from .. import _current
from ..built_urls import Linking
from ..exceptions import NoHost
from ..wrappers import Request

_STANDARD_PORTS = {"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}


def create_adapter(app: t.Any, request: Request | None) -> MapAdapter | None:
    """Bind the app's URL map to a request, or to `SERVER_NAME` where there is none.

    :raises SecurityError: (400) if the request's host is not one of `TRUSTED_HOSTS`.
    """
    config, url_map = app.config, app.url_map
    server_name = config["SERVER_NAME"]
    if request is None:
        if server_name is None:
            return None
        adapter: MapAdapter = url_map.bind(
            server_name,
            script_name=config["APPLICATION_ROOT"],
            url_scheme=config["PREFERRED_URL_SCHEME"],
        )
        return adapter
    if config["TRUSTED_HOSTS"] is not None:
        request.trusted_hosts = config["TRUSTED_HOSTS"]
    host = request.host.lower()  # checked here, so that every request to an untrusted host fails
    if server_name is None or url_map.host_matching:
        server_name = host
    else:
        server_name = server_name.lower().removesuffix(_STANDARD_PORTS.get(request.scheme, ":"))
    subdomain = url_map.default_subdomain or ""
    if url_map.host_matching:
        subdomain = None
    elif app.subdomain_matching:
        subdomain = _subdomain(host, server_name)
    bound: MapAdapter = url_map.bind(
        server_name,
        script_name=request.root_path,
        subdomain=subdomain,
        url_scheme=request.scheme,
        default_method=request.method,
        path_info=request.path_info,
        query_args=request.query_string.decode(errors="replace"),
    )
    return bound


def _subdomain(host: str, server_name: str) -> str:
    """Return what stands before the server's name in a host; of a foreign host nothing matches."""
    if host == server_name:
        return ""
    if host.endswith("." + server_name):
        return host[: -len(server_name) - 1]
    # NOTE: told as from Flask's module, so that filters written for Flask's warning still apply.
    warnings.warn_explicit(
        f"Current server name {host!r} doesn't match configured server name {server_name!r}: with"
        " subdomain matching on, no route of this app matches it.",
        UserWarning,
        filename=__file__,
        lineno=0,
        module="flask.app",
    )
    return "<invalid>"


def url_for(
    app: t.Any,
    endpoint: str,
    values: dict[str, t.Any],
    anchor: str | None,
    method: str | None,
    scheme: str | None,
    external: bool | None,
) -> str:
    """Build a URL; see `Flask.url_for`."""
    if anchor is None and method is None and scheme is None and external is None:
        known: str | None = app._find_url(endpoint, values)
        if known is not None:
            return known
    ctx = _current.context.get(None)  # PERF: mostly it is this one
    if ctx is None or ctx._request is None:
        ctx = _current.request_context()
    linking = Linking(_outside(app)) if ctx is None else _linking(ctx)
    if external is None:
        external = ctx is None or scheme is not None
    if external or scheme is not None:
        _require_host(external, None if ctx is None else linking.adapter)
    asked, endpoint = endpoint, linking.full(endpoint)
    app.inject_url_defaults(endpoint, values)
    try:
        if external or method is not None:
            url = linking.adapter.build(
                endpoint, values, method=method, url_scheme=scheme, force_external=external
            )
        else:
            url = app._built_urls.build(linking, asked, values)
    except BuildError as error:
        values.update(_anchor=anchor, _method=method, _scheme=scheme, _external=external)
        return t.cast("str", app.handle_url_build_error(error, endpoint, values))
    if anchor is None:
        return url
    return f"{url}#{quote(anchor, safe=_ANCHOR_SAFE)}"


def _linking(ctx: t.Any) -> Linking:
    """Return what the URLs of a request depend on, found anew where that may have changed.

    :raises HTTPException: if the request's host is not one of this app's.
    """
    adapter, known = ctx.url_adapter, ctx.linking
    if adapter is None:
        raise ctx.request.routing_exception or NoHost()
    if known is None or not known.is_for(ctx):
        known = ctx.linking = Linking(adapter, ctx.request)
    return t.cast("Linking", known)


#: What an anchor may hold unescaped: RFC 3986's fragment, and percent signs as they are.
_ANCHOR_SAFE = "%!#$&'()*+,/:;=?@"


def _require_host(external: bool, adapter: MapAdapter | None) -> None:
    """Check that a URL which is to have a host or a scheme can have them.

    :param external: whether it is to have a host.
    :param adapter: the request's.
    :raises ValueError: if it is to have a scheme, but no host.
    :raises NoHost: if the request has none.
    """
    if not external:
        raise ValueError(
            "When specifying '_scheme', '_external' must be True: a URL without a host has no"
            " scheme, and the link would be as insecure as the page that it stands in."
        )
    if adapter is not None and not adapter.server_name:
        raise NoHost


def _outside(app: t.Any) -> MapAdapter:
    """Return the adapter to build with outside a request.

    :raises RuntimeError: if `SERVER_NAME` is not set.
    """
    around = _current.app_context()
    adapter = app.create_url_adapter(None) if around is None else around.url_adapter
    if adapter is None:
        raise RuntimeError(
            "Unable to build URLs outside an active request without 'SERVER_NAME' configured:"
            " nothing says which host they are for. Also configure 'APPLICATION_ROOT' and"
            " 'PREFERRED_URL_SCHEME' as needed."
        )
    return t.cast("MapAdapter", adapter)
