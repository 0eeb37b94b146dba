# cython: language_level=3
from tierway_core._choice cimport ChoiceC, ViewC

cdef ChoiceC least_busy(const ViewC* view) noexcept nogil
