"""The same app in each framework, a file each, as its documentation writes it.

A file imports its framework and `benchmarks.apps.shared`, nothing else, so that it can be loaded in
the framework's own environment. It has three functions:

- ``main()`` returns the app with all paths of `benchmarks.workloads` but the following;
- ``hooks()`` returns one whose only path, ``/hooks``, has two functions called before it and two
  after, or what is nearest to that in the framework;
- ``routes(count)`` returns one that has so many routes: ``/r0/<int:id>/x``, ``/r1/<int:id>/x``, ...

A path that the framework cannot serve by its own means, or by an extension that its documentation
names, is left out: the answer is 404, and a comment says why.
"""
