# cython: language_level=3, freethreading_compatible=True
"""What changes between decisions: availability and load of each deployment, in one flat buffer.

Thread-safety: every access is one atomic operation on one 32-bit field; no lock, from any thread or process. What two
fields say together may be of two moments.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uintptr_t

RECORD_BYTES = sizeof(RecordC)


# no_gc_clear: the collector must not take the exported buffer away before __dealloc__ has released it.
@cython.final
@cython.no_gc_clear
cdef class State:
    """Availability and in-flight requests of the deployments of a table, by their index.

    Private to the process unless a writable buffer is given, which may be shared memory. A new private state is all
    zeros: everything is unavailable, nothing in flight. A given buffer keeps what it holds, so that a second process
    may attach to it; it stays exported as long as the state lives.

    Raises:
        ValueError: the count is negative, or the buffer is smaller than `RECORD_BYTES` a deployment, or not aligned to 8 bytes.
        BufferError: the buffer is read-only, or not contiguous.
    """

    def __cinit__(self, Py_ssize_t deployments, buffer=None):
        if deployments < 0:
            raise ValueError(f"a state has 0 or more deployments, not {deployments}")
        if buffer is None:
            buffer = bytearray(deployments * RECORD_BYTES)
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self._holds_view = True
        if self._view.len < deployments * <Py_ssize_t>sizeof(RecordC):
            raise ValueError(f"{deployments} deployments need {deployments * RECORD_BYTES} bytes, the buffer has {self._view.len}")
        if <uintptr_t>self._view.buf & 7:
            raise ValueError("the buffer is not aligned to 8 bytes")
        self.deployments = deployments
        self.records = <RecordC*>self._view.buf

    def __dealloc__(self):
        if self._holds_view:
            PyBuffer_Release(&self._view)

    cdef RecordC* record(self, Py_ssize_t index) except NULL:
        if not 0 <= index < self.deployments:
            raise IndexError(f"there is no deployment {index} among {self.deployments}")
        return self.records + index

    def set_available(self, Py_ssize_t index, bint available):
        """States whether a deployment can answer now."""
        store(&self.record(index).available, available)

    def is_available(self, Py_ssize_t index):
        """Whether a deployment can answer now."""
        return load(&self.record(index).available) != 0

    def begin(self, Py_ssize_t index):
        """Counts a request in; returns how many are in flight with it. Balance it with `end`, in a `finally`."""
        cdef int32_t in_flight = count(&self.record(index).in_flight, 1)
        if in_flight < 0:
            raise OverflowError(f"deployment {index} has 2^31 - 1 requests in flight")
        return in_flight

    def end(self, Py_ssize_t index):
        """Counts a request out.

        Raises:
            ValueError: none is in flight; the count stays 0.
        """
        if count(&self.record(index).in_flight, -1) < 0:
            raise ValueError(f"deployment {index} has no request in flight")

    def in_flight(self, Py_ssize_t index):
        """How many requests are in flight."""
        return load(&self.record(index).in_flight)
