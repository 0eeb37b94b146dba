"""The Tierway server process: configuration, RPC, HTTP, the way of a request, engines.

Layers, which import-linter enforces: ``app -> rpc, http -> flow -> backends -> telemetry, config, errors``.
"""
