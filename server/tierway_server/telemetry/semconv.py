"""Every metric and metadata name that Tierway speaks, in one place: conventions are renamed upstream, code should not be.

Sources: go-grpc-middleware (`grpc_server_*`), Prometheus naming (base units, `_seconds`, `_total`). Labels never carry request ids.
"""

from __future__ import annotations

from typing import Final

RPC_STARTED: Final = "grpc_server_started_total"
RPC_HANDLED: Final = "grpc_server_handled_total"
RPC_SECONDS: Final = "grpc_server_handling_seconds"

DECISIONS: Final = "tierway_route_decisions_total"
DECISION_SECONDS: Final = "tierway_route_decision_seconds"
UNSURE: Final = "tierway_route_unsure_total"
CALIBRATION_LOADS: Final = "tierway_calibration_loads_total"
CALIBRATION: Final = "tierway_calibration_info"
ATTEMPTS: Final = "tierway_backend_attempts_total"
FAILURES: Final = "tierway_backend_failures_total"
FALLBACKS: Final = "tierway_fallbacks_total"
ERRORS: Final = "tierway_errors_total"
TTFT_SECONDS: Final = "tierway_ttft_seconds"
TPOT_SECONDS: Final = "tierway_tpot_seconds"
ANSWERS: Final = "tierway_answers_total"
TOKENS: Final = "tierway_tokens_total"
COST_USD: Final = "tierway_cost_usd_total"
IN_FLIGHT: Final = "tierway_in_flight"
AVAILABLE: Final = "tierway_deployment_available"
SHARED_LOST: Final = "tierway_shared_state_lost"
SHARED_AGE_SECONDS: Final = "tierway_shared_state_age_seconds"
SHARED_REPLICAS: Final = "tierway_shared_state_replicas"
SHARED_ROUNDS: Final = "tierway_shared_state_rounds_total"
PROCESS_STARTS: Final = "tierway_process_starts_total"
STRATEGIES: Final = "tierway_strategy_decisions_total"
EXPERIMENTS: Final = "tierway_experiment_decisions_total"
BREAKER: Final = "tierway_breaker_state"
LIMIT_REFUSALS: Final = "tierway_limit_refusals_total"
BUDGET_REFUSALS: Final = "tierway_budget_refusals_total"
BUDGET_LIMIT_USD: Final = "tierway_budget_limit_usd"
BUDGET_SPENT_USD: Final = "tierway_budget_spent_usd"
BUDGET_RESERVED_USD: Final = "tierway_budget_reserved_usd"

REQUEST_ID_KEY: Final = "x-request-id"
TENANT_KEY: Final = "tierway-tenant"
PRIORITY_KEY: Final = "tierway-priority"
CONSTITUTION_KEY: Final = "tierway-constitution-hash"
ERROR_DOMAIN: Final = "tierway"
