"""`ask`, `route`, `explain`, `models` and `stats` against a scripted server."""

import json

import pytest
from google.protobuf.duration_pb2 import Duration

from tests.client.scripted_router import ANSWERED, DECISION, FINISHED, HASH, STARTED, delta, reply
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb


def test_ask_streams_the_answer_to_stdout_and_what_it_took_to_stderr(ask_server) -> None:
    result = ask_server("ask", "What is the capital of France?")
    assert (result.exit_code, result.stdout) == (0, "The capital of France is Paris.\n")
    assert result.stderr == "tier 1 · smollm2-135m · TTFT 45 ms · 35.0 tokens/s · $0.000000900\n"


def test_ask_says_every_option_to_the_server(ask_server, router) -> None:
    options = (
        "--agent a --task-type t --model m --min-tier 1 --max-tier 2 --max-cost-usd 0.5 --latency-budget 0.25 --min-compliance 0.8 "
        "--cost-quality 0 --strategy weighted --region eu --region us --sticky-key u --no-fallback "
        "--max-tokens 9 --temperature 0 --top-p 0.5 --top-k 4 --seed 7 --stop x --stop y --request-id r --tenant acme"
    )
    assert ask_server("ask", "hi", *options.split()).exit_code == 0
    (call,) = router.calls
    assert call.metadata["tierway-tenant"] == "acme"
    assert call.request.query.prompt == "hi"
    preferences = call.request.preferences
    assert (preferences.agent, preferences.task_type, preferences.force_model) == ("a", "t", "m")
    assert (preferences.min_tier, preferences.max_tier, preferences.max_cost_usd) == (1, 2, 0.5)
    assert preferences.latency_budget.ToMilliseconds() == 250
    assert (preferences.min_compliance, preferences.cost_quality, preferences.allow_fallback) == (0.8, 0.0, False)
    assert (preferences.strategy, preferences.regions, preferences.sticky_key) == ("weighted", ["eu", "us"], "u")
    assert preferences.HasField("cost_quality")
    assert preferences.HasField("allow_fallback")
    expected = pb.Sampling(max_tokens=9, temperature=0, top_p=0.5, top_k=4, seed=7, stop=["x", "y"])
    assert (call.request.sampling, call.request.request_id) == (expected, "r")


def test_options_that_are_not_given_are_not_sent(ask_server, router) -> None:
    ask_server("ask", "hi")
    (request,) = router.requests("Stream")
    assert (request.preferences, request.sampling) == (pb.Preferences(), pb.Sampling())


def test_ask_with_instructions_sends_messages(ask_server, router) -> None:
    ask_server("ask", "hi", "--system", "be brief")
    (request,) = router.requests("Stream")
    assert [(message.role, message.parts[0].text) for message in request.query.messages] == [
        (pb.ROLE_SYSTEM, "be brief"),
        (pb.ROLE_USER, "hi"),
    ]


def test_ask_reads_a_dash_from_standard_input(ask_server, router) -> None:
    ask_server("ask", "-", input="first\nsecond é\n")
    assert router.requests("Stream")[0].query.prompt == "first\nsecond é"


def test_ask_says_when_another_model_answered_and_why_it_ended(ask_server, router) -> None:
    failed = pb.Attempt(model=DECISION.model, deployment=DECISION.deployment, reason="ENGINE_LOST")
    finished = rpc.StreamFinished()
    finished.CopyFrom(FINISHED.finished)
    finished.attempts[0].model = "qwen3-0.6b"
    finished.finish_reason = pb.FINISH_REASON_LENGTH
    router.script(
        "Stream", [STARTED, rpc.StreamResponse(attempt=failed), delta("Hi\n"), rpc.StreamResponse(finished=finished)]
    )
    result = ask_server("ask", "hi")
    assert result.stdout == "Hi\n"
    told, took = result.stderr.splitlines()
    assert told == "smollm2-135m@smollm2 failed (ENGINE_LOST), trying the next"
    assert "qwen3-0.6b (in place of smollm2-135m)" in took
    assert took.endswith("ended by length")


def test_ask_counts_the_time_that_tokens_were_held_back_as_decoding(ask_server, router) -> None:
    finished = rpc.StreamFinished()
    finished.CopyFrom(FINISHED.finished)
    finished.timings.hold_time.FromMilliseconds(35)
    finished.timings.time_to_first_token.FromMilliseconds(80)
    router.script("Stream", [STARTED, delta("Hi"), rpc.StreamResponse(finished=finished)])
    assert "TTFT 80 ms · 35.0 tokens/s" in ask_server("ask", "hi").stderr


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (pb.ATTEMPT_OUTCOME_ESCALATED, "seemed unsure, asking one tier up"),
        (pb.ATTEMPT_OUTCOME_OUTRUN, "was slower than another"),
    ],
)
def test_ask_says_what_became_of_a_try_that_did_not_fail(ask_server, router, outcome, told) -> None:
    attempt = pb.Attempt(model=DECISION.model, deployment=DECISION.deployment, outcome=outcome)
    router.script("Stream", [STARTED, rpc.StreamResponse(attempt=attempt), delta("Hi\n"), FINISHED])
    assert ask_server("ask", "hi").stderr.splitlines()[0] == f"{DECISION.deployment} {told}"


def test_ask_as_json_is_the_whole_answer(ask_server) -> None:
    result = ask_server("ask", "hi", "--json")
    answer = json.loads(result.stdout)
    assert (answer["text"], answer["finish_reason"]) == ("The capital of France is Paris.", "STOP")
    assert answer["decision"]["reasons"][0]["code"] == "CHEAPEST"
    assert answer["timings"]["time_to_first_token_s"] == 0.045
    assert answer["constitution_hash"] == HASH
    assert answer["attempts"] == [
        {
            "model": ANSWERED.model,
            "deployment": ANSWERED.deployment,
            "outcome": "ANSWERED",
            "reason": "",
            "text_characters": 0,
            "cost_usd": 0.0,
        }
    ]


def test_route_shows_the_decision_and_each_reason(ask_server) -> None:
    result = ask_server("route", "hi")
    assert result.exit_code == 0
    for shown in (
        "smollm2-135m@smollm2 (vllm)",
        "trivial",
        "$0.00000125",
        "qwen3-0.6b",
        "cheapest",
        "Cheapest of 2.",
        HASH,
    ):
        assert shown in result.stdout


def test_route_shows_what_the_classifier_says_where_there_is_one(ask_server, router) -> None:
    decision = pb.Decision(
        confidence=0.75, expected_quality=0.625, difficulty=-1.5, domain="law", label=pb.LABEL_MEDIUM, cost_quality=0.25
    )
    router.script("Route", reply(rpc.RouteResponse(decision=decision)))
    assessed = ask_server("route", "hi").stdout
    for shown in ("law", "medium", "-1.50", "0.75", "0.62", "0.25 (0 cheapest, 1 best)"):
        assert shown in assessed
    assert "expected quality" not in ask_server("route", "hi").stdout


def test_explain_shows_assessment_candidates_features_and_reasons(ask_server, router) -> None:
    result = ask_server("explain", "hi", "--features", "5")
    assert result.exit_code == 0
    for shown in (
        "smollm2-135m, tier 1",
        "-1.25 ± 0.75",
        "history (62%)",
        "simple 75%, medium 12%, complex 6%, reasoning 6%",
        "50%  62%  75%  88%  94%",
        "0.81, 100% of the words known",
        "0.4688",
        "It is unavailable.",
        "capital",
        "-0.500",
        "--------------------",
        "+++++",
        "Cheapest of 2.",
    ):
        assert shown in result.stdout
    assert router.requests("Explain")[0].max_features == 5


def test_explain_without_a_classifier_shows_the_candidates_all_the_same(ask_server, router) -> None:
    explained = rpc.ExplainResponse(candidates=[pb.Candidate(deployment="d", model="m", tier=1, rank=1)])
    router.script("Explain", reply(explained))
    shown = ask_server("explain", "hi").stdout
    assert "assessment" not in shown
    assert "feature" not in shown
    assert "utility" in shown


def test_explain_as_json_is_the_whole_explanation(ask_server) -> None:
    explained = json.loads(ask_server("explain", "hi", "--json").stdout)
    assert explained["assessment"]["label_probabilities"]["SIMPLE"] == 0.75
    assert explained["candidates"][1]["left_out"]["code"] == "FILTERED_UNAVAILABLE"
    assert explained["features"][0] == {"kind": "WORD", "name": "capital", "weight": -0.5}


def test_route_as_json_keeps_reason_codes_it_does_not_know(ask_server, router) -> None:
    decision = pb.Decision(reasons=[pb.Reason(code=99, detail="new")])
    router.script("Route", reply(rpc.RouteResponse(decision=decision)))
    decoded = json.loads(ask_server("route", "hi", "--json").stdout)
    assert decoded["reasons"] == [{"code": "UNKNOWN_99", "subject": "", "detail": "new"}]
    assert decoded["confidence"] is None


def test_route_does_not_follow_markup_of_the_server(ask_server, router) -> None:
    decision = pb.Decision(reasons=[pb.Reason(code=9, detail="[bold]cheap[/bold] [nonsense")])
    router.script("Route", reply(rpc.RouteResponse(decision=decision)))
    assert "[bold]cheap[/bold] [nonsense" in ask_server("route", "hi").stdout


def test_models_lists_each_deployment_and_why_not(ask_server, router) -> None:
    page = rpc.ListModelsResponse(
        models=[
            rpc.Model(
                name="smollm2-135m",
                tier=1,
                deployments=[rpc.Deployment(name="d1", available=True, context_tokens=8192)],
            ),
            rpc.Model(
                name="grok-4",
                tier=5,
                vision=True,
                deployments=[rpc.Deployment(name="d2", unavailable_reason="OPENROUTER_API_KEY is not set")],
            ),
        ]
    )
    router.script("ListModels", reply(page), reply(page))
    first, second = [line for line in ask_server("models").stdout.splitlines() if "d1" in line or "d2" in line]
    assert "available" in first
    assert "8192" in first
    assert "unavailable: OPENROUTER_API_KEY is not set" in second
    assert [model["name"] for model in json.loads(ask_server("models", "--json").stdout)] == ["smollm2-135m", "grok-4"]


def test_stats_shows_figures(ask_server, router) -> None:
    figures = rpc.GetStatsResponse(
        models=[rpc.ModelStats(model="m", decisions=7, answers=6, failures=1, cost_usd=12.5)],
        tiers=[rpc.TierStats(tier=1, decisions=7)],
        errors=[rpc.ErrorStats(reason="QUEUE_FULL", count=4)],
        in_flight=2,
        classifier=rpc.ClassifierStats(weights="0123456789abcdef"),
        strategies=[rpc.StrategyStats(strategy="least_busy", decisions=3)],
        experiments=[rpc.ExperimentStats(experiment="dial", arm="up", decisions=2)],
        deployments=[
            rpc.DeploymentStats(
                deployment="m@x",
                breaker=rpc.BREAKER_STATE_HALF_OPEN,
                breaker_forced=True,
                error_share=0.25,
                lanes=[
                    rpc.LaneStats(priority=pb.PRIORITY_INTERACTIVE),
                    rpc.LaneStats(priority=pb.PRIORITY_BATCH, waiting=17, shed=23),
                ],
            )
        ],
        answers=rpc.AnswerStats(
            judged=80, weak=16, escalated=4, escalation_share=0.05, weak_alarm=True, retries_refused=3, cache_misses=1
        ),
        limits=[rpc.LimitStats(limit="free", wait_time=Duration(seconds=2), refusals=11)],
        budgets=[rpc.BudgetStats(budget="pool", limit_usd=100, spent_usd=99.5, reserved_usd=0.25, remaining_usd=0.125)],
    )
    router.script("GetStats", reply(figures), reply(figures))
    shown = ask_server("stats").stdout
    for each in ("2 in flight", "classifier 0123456789abcdef, calibration none", "$12.50", "QUEUE_FULL"):
        assert each in shown
    for each in (
        "least_busy",
        "arm of dial",
        "m@x",
        "half open, held",
        "25%",
        "free",
        "2.00 s",
        "pool",
        "$99.50",
        "soft",
    ):
        assert each in shown
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    for row in (
        "m@x batch 17 23",
        "judged 80",
        "weak 16 ALARM: more than may be",
        "escalated 4 5 % of the judged",
        "retries 0 3 more refused",
        "from the cache 0 0 % of the looked up",
        "not in the cache 1",
    ):
        assert row in rows
    for absent in ("interactive", "takeovers", "hedges"):
        assert absent not in shown
    decoded = json.loads(ask_server("stats", "--json").stdout)
    assert decoded["deployments"][0]["waiting"] == {"INTERACTIVE": 0, "BATCH": 17}
    assert (decoded["answers"]["judged"], decoded["answers"]["weak_alarm"]) == (80, True)
    assert (decoded["errors_by_reason"], decoded["decisions_by_tier"]) == ({"QUEUE_FULL": 4}, {"1": 7})
    assert decoded["decisions_by_experiment"] == {"dial": {"up": 2}}
    assert decoded["deployments"][0]["breaker"] == "HALF_OPEN"


def test_stats_of_answers_that_came_at_once_are_left_out(ask_server) -> None:
    shown = ask_server("stats").stdout
    assert "answers  " in shown  # the models' column
    assert "judged" not in shown
    assert "queue of" not in shown


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("ask", "--help"), ("config", "--help")], ids=" ".join)
def test_help(run, arguments) -> None:
    assert run(*arguments).exit_code == 0


def test_version(run) -> None:
    assert run("--version").stdout.startswith("tierway ")
