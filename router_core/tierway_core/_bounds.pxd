# cython: language_level=3
"""Checks of what callers of a state give: sums of checked values never overflow. Each raises ValueError, naming what is wrong."""

from libc.math cimport isfinite
from libc.stdint cimport int64_t

cdef extern from *:
    """
    #define TIERWAY_MOST_NS (INT64_C(1) << 62)
    #define TIERWAY_MOST_SPAN_NS (INT64_C(1) << 60)
    #define TIERWAY_MOST_PICOUSD (INT64_C(1) << 62)
    """
    const int64_t MOST_NS "TIERWAY_MOST_NS"
    const int64_t MOST_SPAN_NS "TIERWAY_MOST_SPAN_NS"
    const int64_t MOST_PICOUSD "TIERWAY_MOST_PICOUSD"


cdef inline int64_t moment(int64_t now_ns) except -1:
    if not 0 <= now_ns < MOST_NS:
        raise ValueError(f"now_ns is from 0 to below 2^62, not {now_ns}")
    return now_ns


cdef inline int64_t span(str name, int64_t value_ns, int64_t least_ns) except -1:
    if not least_ns <= value_ns <= MOST_SPAN_NS:
        raise ValueError(f"{name} is from {least_ns} to 2^60, not {value_ns}")
    return value_ns


cdef inline int64_t money(str name, int64_t picousd) except -1:
    if not 0 <= picousd <= MOST_PICOUSD:
        raise ValueError(f"{name} is from 0 to 2^62, not {picousd}")
    return picousd


cdef inline int64_t cost_of(int64_t cost) except -1:
    if cost < 0:
        raise ValueError(f"cost is 0 or more, not {cost}")
    return cost


cdef inline double seconds(str name, object value) except -1.0:
    cdef double found = value
    if not isfinite(found) or found < 0.0:
        raise ValueError(f"{name} is 0 or more, not {value}")
    return max(found, 1e-9)  # 0 would say that nothing was seen
