# cython: language_level=3, freethreading_compatible=True
"""Who was sent which prefix lately: a small table of this process alone, that forgets the oldest.

Every prefix has a set of WARM_MOST neighbouring slots, which it shares with others.

Thread-safety: one thread notes at a time, any number read. A reader may see a sighting half noted: a cheaper price for one choice.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from tierway_core._chance cimport mix
from tierway_core._choice cimport WARM_MOST


cdef inline SightingC* set_of(SightingC* sightings, Py_ssize_t slots, uint64_t prefix_key) noexcept nogil:
    """The slots of a prefix."""
    return sightings + (mix(prefix_key) & <uint64_t>(slots - 1) & ~<uint64_t>(WARM_MOST - 1))


cdef inline SightingC* slot_for(SightingC* neighbours, uint64_t prefix_key, int64_t deployment) noexcept nogil:
    """Where a sighting goes: where the last of the same is, else to the oldest."""
    cdef SightingC* best = neighbours
    cdef SightingC* slot
    cdef int place
    for place in range(WARM_MOST):
        slot = neighbours + place
        if slot.prefix_key == prefix_key and slot.deployment == deployment:
            return slot
        if slot.at_ns < best.at_ns:
            best = slot
    return best


cdef inline int32_t find_in(
    const SightingC* neighbours, uint64_t prefix_key, int64_t since_ns, int32_t* found
) noexcept nogil:
    """Deployments that were sent a prefix, in no order; returns how many."""
    cdef int32_t count = 0
    cdef int place
    for place in range(WARM_MOST):
        if neighbours[place].prefix_key == prefix_key and neighbours[place].at_ns >= since_ns:
            found[count] = <int32_t>neighbours[place].deployment
            count += 1
    return count


@cython.final
cdef class Prefixes:
    """Sightings of prefixes.

    Raises:
        ValueError: `slots` is not a power of two from 8 to 2^24.
    """

    def __cinit__(self, Py_ssize_t slots=4096):
        if not WARM_MOST <= slots <= 1 << 24 or slots & (slots - 1):
            raise ValueError(f"slots must be a power of two from {WARM_MOST} to 2^24, not {slots}")
        self.slots = slots
        self._sightings = <SightingC*>calloc(slots, sizeof(SightingC))
        if self._sightings == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self._sightings)

    cdef int32_t find(self, uint64_t prefix_key, int64_t since_ns, int32_t* found) noexcept nogil:
        return find_in(set_of(self._sightings, self.slots, prefix_key), prefix_key, since_ns, found)

    def remember(self, uint64_t prefix_key, int32_t deployment, int64_t now_ns):
        """Notes that a deployment was sent a prefix now. A key of 0 stands for none."""
        if deployment < 0:
            raise IndexError(f"there is no deployment {deployment}")
        if prefix_key == 0:
            return
        cdef SightingC* slot = slot_for(set_of(self._sightings, self.slots, prefix_key), prefix_key, deployment)
        slot.prefix_key = prefix_key
        slot.deployment = deployment
        slot.at_ns = now_ns

    def holders(self, uint64_t prefix_key, int64_t since_ns):
        """Deployments that were sent the prefix at that time or later, ascending."""
        cdef int32_t found[WARM_MOST]
        if prefix_key == 0:
            return ()
        cdef int32_t count = self.find(prefix_key, since_ns, found)
        return tuple(sorted([found[place] for place in range(count)]))
