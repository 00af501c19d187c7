"""What a new blog starts with: a dozen posts that tell how the blog is made."""

from __future__ import annotations

import typing as t

#: Who wrote them.
AUTHOR = "Wren"


class Sample(t.NamedTuple):
    """A post as it will be stored; the time is UTC."""

    written_at: str
    title: str
    text: str


#: Oldest first.
POSTS = [
    Sample(
        "2026-09-02T08:15:00Z",
        "A folder and a file",
        "The blog lives in one Python package. Its data live outside the package, in the"
        " instance folder: a single SQLite file that was created when the app first started.\n\n"
        "Delete the file, start again, and everything is new.",
    ),
    Sample(
        "2026-09-05T17:40:00Z",
        "Why there is a factory",
        "The package has no global app. It has a function that makes one, and takes the"
        " settings to make it with.\n\n"
        "A test can therefore have an app of its own, on a database of its own, and throw both"
        " away a moment later.",
    ),
    Sample(
        "2026-09-11T06:55:00Z",
        "Two blueprints",
        "Accounts are one blueprint, posts are another. Neither knows the app; each only says"
        " what should happen once it is registered.",
    ),
    Sample(
        "2026-09-14T19:05:00Z",
        "One connection, one request, one thread",
        "A view asks for the database and gets a connection that was opened for this request"
        " alone. It waits in g until the request is over, and is then closed.\n\n"
        "SQLite is strict about one thing: the thread that opened a connection has to be the"
        " one that closes it. Here it is, without anybody having to think of it.",
    ),
    Sample(
        "2026-09-20T12:30:00Z",
        "Forms that know where they come from",
        "Every form carries a small secret that only this session knows. A form that comes"
        " without it was not made here, so it is turned down.\n\n"
        "That is also why logging out is a button and not a link.",
    ),
    Sample(
        "2026-09-27T10:00:00Z",
        "<b>Nothing</b> gets through",
        "Is the title above in bold? It should not be. Whatever people type is text, so"
        " templates show it as text: <script>alert('hello')</script> & all.",
    ),
    Sample(
        "2026-10-03T21:20:00Z",
        "Passwords are not kept",
        "What is stored is a salted hash, slow to compute on purpose. To log in is to compute"
        " it again and compare.\n\n"
        "A name that does not exist costs just as much time as a wrong password, and gets the"
        " same answer.",
    ),
    Sample(
        "2026-10-09T07:45:00Z",
        "Yours to edit",
        "Register, write something, and you will find a way to edit and to delete it. On the"
        " posts of others you will not.\n\n"
        "Hiding a link is a courtesy, though. What protects a post is the check in the view"
        " behind it.",
    ),
    Sample(
        "2026-10-18T15:10:00Z",
        "Ten to a page",
        "The list shows ten posts at a time. The newest come first, and the links at the foot"
        " lead to the older ones.",
    ),
    Sample(
        "2026-10-25T18:35:00Z",
        "Made for any screen",
        "The style sheet is one short file. It follows the light or dark setting of your"
        " system, fits a phone as well as a desk, and works from the keyboard.\n\n"
        "There is not a line of JavaScript.",
    ),
    Sample(
        "2026-11-01T09:00:00Z",
        "Change one import",
        "Write flask in place of asyncflask in the imports of this blog, and it runs there"
        " too: over WSGI, as ever.\n\n"
        "Here the same code is served over ASGI, and an async view is welcome beside it.",
    ),
    Sample(
        "2026-11-07T06:30:00Z",
        "Good morning",
        "This is a small blog with a quiet design. Have a look around, then register and write"
        " the next post.",
    ),
]
