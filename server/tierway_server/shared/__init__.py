"""One truth for several machines: breakers, limits, budgets and usage in Redis, off the path of requests. The extra `redis`.

A decision and an admission read and write the process's own `State` only. A task keeps that in step with the other replicas
(`keeper.py`): a round every `sync_s` tells what happened here and hears what happened elsewhere. Each kind of record is one module with
a script of its own name, which Redis runs as one step. Nothing of this package is imported where no Redis is configured.
"""
