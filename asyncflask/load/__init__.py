"""``asyncflask load``: load-testing with httpx.

The command is `cli.load`; nothing here is imported before it is used. In the order of a test:

- `target`: which URL, and whether it is on this machine.
- `plan`: what is to be done, as plain data that goes to other processes; `schedule`: when.
- `sending`: one request and its time; `scenario`: a user's coroutine that makes several.
- `openfiles`: as many of them as there are to be connections.
- `runner`: the connections, each of which sends as the schedule says; `strain`: what that costs
  the client itself. `processes` and `worker`: the same in several processes.
- `record`: what came of it, of fixed size, and added up by a sum: `histogram`, `timeline`.
- `thresholds`, `summary` (JSON), `text`, `html` and `charts`: what is made of a record.
- `session`: all of it, from the plan to the exit status.
"""
