"""A Django project in one file, to be mounted."""

from __future__ import annotations

import typing as t

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="a key for tests",
        USE_TZ=True,
    )
    django.setup()


def show(request: HttpRequest, number: int = 0) -> HttpResponse:
    return JsonResponse(
        {
            "path": request.path,
            "path_info": request.path_info,
            "reverse": reverse("show", args=[7]),
            "absolute": request.build_absolute_uri(),
        }
    )


async def show_async(request: HttpRequest) -> HttpResponse:
    return show(request)


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


def leave(request: HttpRequest) -> HttpResponse:
    return redirect("show", 1)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{number}\n" for number in range(3))


urlpatterns: t.Any = [
    path("", show),
    path("show/<int:number>/", show, name="show"),
    path("async/", show_async),
    path("echo/", echo),
    path("leave/", leave),
    path("stream/", stream),
]

asgi_app: t.Any = get_asgi_application()
wsgi_app: t.Any = get_wsgi_application()
