"""Simulation: logged or made-up traffic against a configuration, through the real core, on a virtual clock.

    fleet = Fleet(name="now", table=table, classifier=classifier, paces=paces)
    traffic = arriving(synthetic(), requests=100_000, rate=50.0)
    faults = [parse_fault(FaultKind.VANISH, "groq@60..120")]
    summary = summarise(replay(fleet, traffic, faults), faults)

The standard library and the core only; nothing here runs in the server.
"""

from tierway_sim.errors import FaultError, SimError, TrafficError
from tierway_sim.faults import Fault, FaultKind, parse_fault, read_faults
from tierway_sim.fleet import Fleet, Pace
from tierway_sim.replay import replay
from tierway_sim.run import Run, Wishes
from tierway_sim.shifts import Shift
from tierway_sim.summary import Part, Percentiles, Strong, Summary, summarise
from tierway_sim.synthetic import synthetic
from tierway_sim.traffic import Query, Traffic, arriving, as_logged

__all__ = [
    "Fault",
    "FaultError",
    "FaultKind",
    "Fleet",
    "Pace",
    "Part",
    "Percentiles",
    "Query",
    "Run",
    "Shift",
    "SimError",
    "Strong",
    "Summary",
    "Traffic",
    "TrafficError",
    "Wishes",
    "arriving",
    "as_logged",
    "parse_fault",
    "read_faults",
    "replay",
    "summarise",
    "synthetic",
]
