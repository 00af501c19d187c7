"""The form of a request: its fields and its files, and what ends with them."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import FileStorage, ImmutableMultiDict, MultiDict
from werkzeug.formparser import FormDataParser
from werkzeug.wrappers import Request as RequestBase

from .. import _current
from ..bodies import Body
from ..debughelpers import attach_enctype_error_multidict
from ..unlocked import cached_property
from .fields import found_sooner
from .multipart import FormParser
from .scope import notable_headers
from .urlencoded import urlencoded_fields, urlencoded_pairs


def _limit(name: str, config: str, doc: str) -> t.Any:
    """Make a limit: the request's own value if set, else the app's config, else the class's."""
    slot = f"_{name}"

    def get(self: WithForm) -> t.Any:
        own = getattr(self, slot)
        if own is not None:
            return own
        ctx = _current.context.get(None)  # PERF: mostly it is this one, found 0.1 us sooner
        if ctx is None:
            return getattr(RequestBase, name)
        return ctx.app.config[config]

    def put(self: WithForm, value: int | None) -> None:
        setattr(self, slot, value)

    return property(get, put, doc=doc)


#: The content types of a form without files: there is one.
_URLENCODED = [b"application/x-www-form-urlencoded"]


if t.TYPE_CHECKING:
    _loaded = cached_property
else:

    class _loaded(cached_property):
        """The form, which loading it leaves in the request."""

        def __get__(self, instance: t.Any, owner: type | None = None) -> t.Any:
            if instance is None:
                return self
            known = instance.__dict__
            form = instance._urlencoded(known)
            if form is None:
                instance._load_form_data()
                form = known["form"]
            return form


class WithForm(RequestBase):
    """A request whose form is parsed when it is first asked for."""

    #: The body, where a server of ours gives it.
    _body: Body | None = None

    #: The ASGI scope, where there is one.
    scope: t.MutableMapping[str, t.Any] | None = None

    _form_is_loaded = False
    _max_content_length: int | None = None
    _max_form_memory_size: int | None = None
    _max_form_parts: int | None = None

    max_content_length = _limit(
        "max_content_length",
        "MAX_CONTENT_LENGTH",
        "Bytes that may be read of this request's body; beyond it, 413. Defaults to the config.",
    )
    max_form_memory_size = _limit(
        "max_form_memory_size",
        "MAX_FORM_MEMORY_SIZE",
        "Bytes that one field of a multipart form may have; beyond it, 413. Defaults to config.",
    )
    max_form_parts = _limit(
        "max_form_parts",
        "MAX_FORM_PARTS",
        "Parts that a multipart form may have; beyond it, 413. Defaults to the config.",
    )

    #: Whether nobody but us can have overridden how a form is read: subclasses of ours may have.
    _is_plain = False

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._is_plain = WithForm in cls.__bases__

    @cached_property
    def notable(self) -> dict[bytes, list[bytes]]:
        """The raw values of the headers that decide how a request is handled."""
        return notable_headers(() if self.scope is None else self.scope["headers"])

    # PERF: once known, found on the request itself in 30 ns; by a property of werkzeug in 400.

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The parameters of the query string, in the order in which they were sent."""
        return found_sooner(super().args)

    @_loaded
    def form(self) -> ImmutableMultiDict[str, str]:  # type: ignore[empty-body]
        """The fields of the form that was sent; empty where the body is of another kind.

        :raises RequestEntityTooLarge: (413) if it is larger than the request's limits allow.
        """

    @cached_property
    def files(self) -> ImmutableMultiDict[str, FileStorage]:
        """The files that were sent with a multipart form, by the names of their fields.

        :raises RequestEntityTooLarge: (413) if the form is larger than its limits allow.
        """
        self._load_form_data()
        known = self.__dict__
        if "files" not in known:  # PERF: most who ask for the fields of a form without files do not
            known["files"] = self.parameter_storage_class()
            self._explain_files()
        files: ImmutableMultiDict[str, FileStorage] = known["files"]
        return files

    #: The files that parsing the form has opened, also where the parsing failed.
    uploads: list[t.IO[bytes]] | tuple[()] = ()

    def _get_file_stream(self, *args: t.Any, **kwargs: t.Any) -> t.IO[bytes]:
        stream = super()._get_file_stream(*args, **kwargs)
        self._note_upload(stream)
        return stream

    def _note_upload(self, stream: t.IO[bytes]) -> None:
        if not self.uploads:
            self.uploads = []
        self.uploads.append(stream)

    def make_form_data_parser(self) -> FormDataParser:
        """Make what parses the form: ours, unless another class than werkzeug's is chosen.

        Files may be regions of the body, unless the request has its own way of making them.
        """
        made = super().make_form_data_parser()
        if type(made) is not FormDataParser:
            return made
        parser = FormParser.instead_of(made)
        if type(self)._get_file_stream is WithForm._get_file_stream:
            parser.opened = self._note_upload
        return parser

    @property
    def is_open(self) -> bool:
        """Whether there is anything for `close` to close.

        PERF: to close a form that has no files would cost async views a thread: 100 us.
        """
        return self._form_is_loaded and bool(
            self.uploads or self.__dict__.get("files") or type(self).close is not WithForm.close
        )

    def close(self) -> None:
        """Close the uploaded files; called when the request's context ends."""
        super().close()
        for stream in self.uploads:
            stream.close()

    def _load_form_data(self) -> None:
        known = self.__dict__
        if "form" in known or self._urlencoded(known) is not None:  # which leaves nothing to close
            return
        self._form_is_loaded = True
        super()._load_form_data()
        found_sooner(known["form"])
        self._explain_files()

    def _explain_files(self) -> None:
        """In debug mode, have missing files explain that the form was not sent as it has to be."""
        ctx = _current.app_context()
        if ctx is None or not ctx.app.debug or self.files:
            return
        if self.mimetype != "multipart/form-data":
            attach_enctype_error_multidict(self)

    def _urlencoded(self, known: dict[str, t.Any]) -> t.Any:
        """Return and keep the form, if it is one without files; if unsure, None, as in subclasses.

        It is what werkzeug's parser makes of it.
        PERF: 5 us where nothing else asks for the headers, which are not made for this alone; with
        headers, and under WSGI, 20 us less than that parser takes.

        :param known: what is known of the request, which is its ``__dict__``.
        """
        if not self._is_plain or self.form_data_parser_class is not FormDataParser:
            return None
        if self.scope is None or "headers" in known:  # which may say something else by now
            kind = None if "_parsed_content_type" in known else self.headers.get("Content-Type")
            if kind != "application/x-www-form-urlencoded":
                return None
        elif self.notable.get(b"content-type") != _URLENCODED:
            return None
        storage = self.parameter_storage_class
        try:
            body = self._body
            if body is None or "stream" in known or "_cached_data" in known:
                known["stream"] = self._get_stream_for_parsing()
                sent = known["stream"].read()
            else:
                sent = body.read_all(self.max_content_length)
            form: t.Any
            if storage is ImmutableMultiDict:
                form = urlencoded_fields(sent)
            else:
                form = storage(urlencoded_pairs(sent))
        except ValueError:  # then it is no form
            form = storage()
        known["form"] = form
        return form
