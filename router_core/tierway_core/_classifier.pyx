# cython: language_level=3, freethreading_compatible=True
"""What the classifier says of a text. `tierway_core.assessment` is its specification; here is only how it is fast.

The table's rows are added up LANES columns at once, as vectors; the network runs in doubles, its sums in the twin's
order. No fused multiply-add (setup.py): the same bytes give the same numbers on every machine.

Memory: everything that a text needs is on the stack, some 50 KB, most of it buckets.
"""

cimport cython
from libc.math cimport exp, log1p, sqrt
from libc.stdint cimport int8_t, int32_t, int64_t, uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tierway_core._signals cimport COUNTERS_COUNT, Reader, SignalsC

from tierway_core.assessment import COSTS, QUANTITIES, Assessment
from tierway_core.errors import CalibrationError
from tierway_core.signals import BUCKETS, COUNTERS
from tierway_core.weights import BANDS as BANDS_OF_WEIGHTS
from tierway_core.weights import LABELS, MOST, Weights


cdef extern from *:
    """
    #include <assert.h>
    static const double tierway_costs[5] = {1.0, 3.0, 10.0, 30.0, 100.0};
    """
    const double* COSTS_C "tierway_costs"
    void claim "assert"(bint holds) noexcept nogil  # checked by the debug core alone


cdef enum:
    OTHER_SCRIPTS = 41  # place of the counter


# ---- sums over buckets ----------------------------------------------------------------------------------------------

cdef extern from *:
    """
    #include <stddef.h>
    #include <string.h>

    typedef int16_t tierway_lanes __attribute__((vector_size(16)));  /* GCC's and Clang's, on every machine */

    /* Adds up LANES columns of the buckets' rows. A row is taken for eight 16-bit numbers, of which each holds two columns:
       shifts part them, with their signs. 256 rows fit into 16 bits (256 * -128 = -2^15), a window's into 32. */
    static inline void tierway_add_lanes(
        const int8_t *table, ptrdiff_t stride, const uint16_t *buckets, ptrdiff_t count, int32_t *sums
    ) {
        const int low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 1;
        memset(sums, 0, 16 * sizeof(int32_t));
        while (count > 0) {
            const ptrdiff_t rows = count < 256 ? count : 256;
            tierway_lanes lows = {0}, highs = {0}, row;
            for (ptrdiff_t place = 0; place < rows; place++) {
                memcpy(&row, table + buckets[place] * stride, sizeof(row));
                lows += (tierway_lanes)(row << 8) >> 8;
                highs += row >> 8;
            }
            for (int lane = 0; lane < 8; lane++) {
                sums[2 * lane + low] += lows[lane];
                sums[2 * lane + 1 - low] += highs[lane];
            }
            buckets += rows;
            count -= rows;
        }
    }
    """
    void add_lanes "tierway_add_lanes"(
        const int8_t* table, Py_ssize_t stride, const uint16_t* buckets, Py_ssize_t count, int32_t* sums
    ) noexcept nogil


cdef void add_rows(const int8_t* table, Py_ssize_t stride, const uint16_t* buckets, Py_ssize_t count, int32_t* sums) noexcept nogil:
    """Adds up the table's rows of the buckets."""
    cdef Py_ssize_t column = 0
    while column < stride:
        add_lanes(table + column, stride, buckets, count, sums + column)
        column += LANES


cdef void pool(const NetworkC* network, const uint16_t* buckets, Py_ssize_t count, Py_ssize_t family, double* pooled) noexcept nogil:
    cdef int32_t[COLUMNS_MOST] sums
    cdef const double* scales = network.scales + family * network.columns
    cdef double root = sqrt(<double>max(count, 1))
    cdef Py_ssize_t column
    claim(network.stride <= COLUMNS_MOST)
    add_rows(network.table, network.stride, buckets, count, sums)
    for column in range(network.columns):
        pooled[column] = scales[column] * sums[column] / root


cdef double familiarity(const unsigned char* seen, const uint16_t* buckets, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t place
    cdef int64_t known = 0
    for place in range(count):
        known += seen[buckets[place] >> 3] >> (buckets[place] & 7) & 1
    return <double>known / <double>max(count, 1)


cdef double column_sum(const int8_t* column, const uint16_t* buckets, Py_ssize_t count) noexcept nogil:
    """The gain's share of a family, before its factor: the column's sum."""
    cdef Py_ssize_t place
    cdef int64_t total = 0
    for place in range(count):
        total += column[buckets[place]]
    return <double>total


# ---- the network ----------------------------------------------------------------------------------------------------

cdef inline double clipped(double value, double most) noexcept nogil:
    return -most if value < -most else most if value > most else value


cdef double logistic(double x) noexcept nogil:
    return 1.0 / (1.0 + exp(-clipped(x, 40.0)))


cdef void add_layer(const double* matrix, const double* inputs, Py_ssize_t height, Py_ssize_t width, double* sums) noexcept nogil:
    """sums += inputs @ matrix, row after row: each sum grows in the twin's order, and neighbours grow at once."""
    cdef Py_ssize_t row, column
    cdef double value
    for row in range(height):
        value = inputs[row]
        for column in range(width):
            sums[column] += value * matrix[row * width + column]


cdef void fill_inputs(const NetworkC* network, const SignalsC* signals, double* z) noexcept nogil:
    cdef Py_ssize_t counter
    cdef double* counters = z + FAMILIES * network.columns
    claim(FAMILIES * network.columns + COUNTERS_COUNT <= INPUTS_MOST)
    pool(network, signals.word_buckets, signals.words, 0, z)
    pool(network, signals.pair_buckets, signals.words, 1, z + network.columns)
    pool(network, signals.gram_buckets, signals.grams, 2, z + 2 * network.columns)
    for counter in range(COUNTERS_COUNT):
        counters[counter] = clipped((signals.counters[counter] - network.mean[counter]) / network.deviation[counter], 4.0)


cdef void fill_outputs(const NetworkC* network, const double* z, double* out) noexcept nogil:
    cdef double[HIDDEN_MOST] hidden
    cdef Py_ssize_t unit
    claim(network.hidden <= HIDDEN_MOST and network.outputs <= OUTPUTS_MOST)
    memcpy(hidden, network.b1, network.hidden * sizeof(double))
    add_layer(network.w1, z, network.inputs, network.hidden, hidden)
    for unit in range(network.hidden):
        hidden[unit] = hidden[unit] if hidden[unit] > 0.0 else 0.0
    memcpy(out, network.b2, network.outputs * sizeof(double))
    add_layer(network.skip, z, network.inputs, network.outputs, out)
    add_layer(network.w2, hidden, network.hidden, network.outputs, out)


cdef int32_t soften(const double* logits, Py_ssize_t count, double* probabilities) noexcept nogil:
    """Softmax; returns the place of the first of the most probable."""
    cdef Py_ssize_t place
    cdef double highest = logits[0]
    cdef double total = 0.0
    cdef int32_t best = 0
    for place in range(1, count):
        highest = logits[place] if logits[place] > highest else highest
    for place in range(count):
        probabilities[place] = exp(logits[place] - highest)
        total += probabilities[place]
    for place in range(count):
        probabilities[place] /= total
        if probabilities[place] > probabilities[best]:
            best = <int32_t>place
    return best


cdef int32_t best_tier(const double* bands, double tier_lambda) noexcept nogil:
    cdef int32_t band
    cdef int32_t best = 0
    cdef double worth
    cdef double most = 0.0
    for band in range(BANDS):
        worth = bands[band] - tier_lambda * COSTS_C[band] / COSTS_C[BANDS - 1]
        if band == 0 or worth > most:
            best = band
            most = worth
    return best + 1


cdef double gain_of(const NetworkC* network, const SignalsC* signals, const double* z, const double* out) noexcept nogil:
    cdef double gain = network.bias
    cdef double root_words = sqrt(<double>max(signals.words, 1))
    cdef double root_grams = sqrt(<double>max(signals.grams, 1))
    cdef Py_ssize_t place
    for place in range(network.inputs):
        gain += network.dense[place] * z[place]
    for place in range(network.outputs):
        gain += network.dense[network.inputs + place] * out[place]
    gain += network.factors[0] * column_sum(network.column, signals.word_buckets, signals.words) / root_words
    gain += network.factors[1] * column_sum(network.column, signals.pair_buckets, signals.words) / root_words
    gain += network.factors[2] * column_sum(network.column, signals.gram_buckets, signals.grams) / root_grams
    return gain


cdef void assess(const NetworkC* network, const SignalsC* signals, AssessmentC* found) noexcept nogil:
    cdef double[INPUTS_MOST] z
    cdef double[OUTPUTS_MOST] out
    cdef double[DOMAINS_MOST] domains
    cdef const double* weights = network.confidence
    cdef Py_ssize_t band
    cdef double logit
    fill_inputs(network, signals, z)
    fill_outputs(network, z, out)
    found.difficulty = out[0]
    found.sigma = exp(clipped(out[1], 5.0))
    for band in range(BANDS):
        found.bands[band] = logistic(out[2 + band])
        if band > 0 and found.bands[band] < found.bands[band - 1]:
            found.bands[band] = found.bands[band - 1]
    found.domain = soften(out + 2 + BANDS, network.domains, domains)
    found.domain_probability = domains[found.domain]
    found.label = soften(out + 2 + BANDS + network.domains, LABELS_COUNT, found.labels)
    found.familiarity = familiarity(network.seen, signals.word_buckets, signals.words)
    logit = weights[0]
    logit += weights[1] * found.sigma
    logit += weights[2] * found.familiarity
    logit += weights[3] * log1p(<double>signals.words)
    logit += weights[4] * signals.counters[OTHER_SCRIPTS]
    logit += weights[5] * found.domain_probability
    found.confidence = logistic(logit)
    found.tier = best_tier(found.bands, network.tier_lambda)
    found.gain = 0.0 if network.column == NULL else gain_of(network, signals, z, out)


# ---- faces ----------------------------------------------------------------------------------------------------------

@cython.final
cdef class Classifier:
    """Weights, and a calibration if there is one, made ready to assess with. Immutable.

    Thread-safety: any number of threads may assess at once.

    Raises:
        CalibrationError: the calibration is for other weights, or does not fit them.
    """

    def __cinit__(self, weights, calibration=None):
        cdef NetworkC* network = &self._network
        cdef Py_ssize_t row
        if len(COSTS) != BANDS or BANDS_OF_WEIGHTS != BANDS or len(LABELS) != LABELS_COUNT or len(QUANTITIES) != QUANTITIES_COUNT:
            raise RuntimeError("the compiled core and its Python are of different versions: run make build")
        if MOST["K"] > COLUMNS_MOST or MOST["H"] > HIDDEN_MOST or MOST["D"] > DOMAINS_MOST or BUCKETS != 1 << 16:
            raise RuntimeError("the compiled core and its Python are of different versions: run make build")
        if COUNTERS[OTHER_SCRIPTS] != "share of other scripts" or tuple(COSTS_C[row] for row in range(BANDS)) != COSTS:
            raise RuntimeError("the compiled core and its Python are of different versions: run make build")
        if not isinstance(weights, Weights):  # whose sizes are checked: memory is read by them
            raise TypeError(f"weights are needed, not {type(weights).__name__}")
        if calibration is not None and calibration.weights != weights.identity:
            raise CalibrationError("weights", f"made for the weights {calibration.weights}, these are {weights.identity}")
        self.weights = weights
        self.calibration = calibration
        self._reader = Reader()
        network.columns = weights.columns
        network.stride = (network.columns + LANES - 1) // LANES * LANES
        network.inputs = weights.inputs
        network.hidden = weights.tensors["b1"].shape[0]
        network.outputs = weights.outputs
        network.domains = len(weights.domains)
        network.tier_lambda = weights.tier_lambda
        network.scales = self._doubles("scales")
        network.mean = self._doubles("mean")
        network.deviation = self._doubles("deviation")
        network.w1 = self._doubles("w1")
        network.b1 = self._doubles("b1")
        network.skip = self._doubles("skip")
        network.w2 = self._doubles("w2")
        network.b2 = self._doubles("b2")
        network.confidence = self._doubles("confidence")
        cdef bytes seen = weights.tensors["seen"].data
        network.seen = <unsigned char*>calloc(len(seen), 1)
        if network.seen == NULL:
            raise MemoryError()
        memcpy(network.seen, <const char*>seen, len(seen))
        cdef bytes table = weights.tensors["table"].data
        cdef const char* rows = table
        network.table = <int8_t*>calloc(<Py_ssize_t>BUCKETS * network.stride, 1)
        if network.table == NULL:
            raise MemoryError()
        for row in range(<Py_ssize_t>BUCKETS):
            memcpy(network.table + row * network.stride, rows + row * network.columns, network.columns)
        if calibration is not None and calibration.pair is not None:
            self._take_gain(calibration.pair.gain)

    def __dealloc__(self):
        cdef NetworkC* network = &self._network
        free(network.table)
        free(network.seen)
        free(network.scales)
        free(network.mean)
        free(network.deviation)
        free(network.w1)
        free(network.b1)
        free(network.skip)
        free(network.w2)
        free(network.b2)
        free(network.confidence)
        free(network.column)
        free(network.dense)

    cdef double* _doubles(self, str name) except NULL:
        """A tensor of floats, as doubles."""
        numbers = self.weights.tensors[name].numbers()
        cdef double* doubles = <double*>calloc(len(numbers), sizeof(double))
        cdef Py_ssize_t place
        if doubles == NULL:
            raise MemoryError()
        for place in range(len(numbers)):
            doubles[place] = numbers[place]
        return doubles

    cdef int _take_gain(self, object gain) except -1:
        cdef NetworkC* network = &self._network
        cdef Py_ssize_t place
        cdef Py_ssize_t length = network.inputs + network.outputs
        cdef bytes column = gain.column
        if len(column) != BUCKETS:
            raise CalibrationError("pair.gain.column", f"must have {BUCKETS} bytes, has {len(column)}")
        if len(gain.dense) != length:
            raise CalibrationError("pair.gain.dense", f"must have {length} numbers, has {len(gain.dense)}")
        network.bias = gain.bias
        for place in range(FAMILIES):
            network.factors[place] = gain.factors[place]
        network.dense = <double*>calloc(length, sizeof(double))
        network.column = <int8_t*>calloc(<Py_ssize_t>BUCKETS, 1)
        if network.dense == NULL or network.column == NULL:
            raise MemoryError()
        for place in range(length):
            network.dense[place] = gain.dense[place]
        memcpy(network.column, <const char*>column, <Py_ssize_t>BUCKETS)
        return 0

    cdef int judge(self, str text, AssessmentC* found) except -1:
        cdef SignalsC signals
        self._reader.read(text, &signals)
        assess(&self._network, &signals, found)
        return 0

    cdef object as_assessment(self, const AssessmentC* found):
        cdef Py_ssize_t place
        return Assessment(
            difficulty=found.difficulty,
            sigma=found.sigma,
            bands=tuple([found.bands[place] for place in range(BANDS)]),
            domain=self.weights.domains[<Py_ssize_t>found.domain],
            domain_probability=found.domain_probability,
            label=LABELS[<Py_ssize_t>found.label],
            label_probabilities=tuple([found.labels[place] for place in range(LABELS_COUNT)]),
            confidence=found.confidence,
            familiarity=found.familiarity,
            tier=found.tier,
            gain=None if self._network.column == NULL else found.gain,
        )

    def assess(self, str text not None):
        """Assesses `text`.

        Raises:
            InvalidTextError: the text holds a lone surrogate.
        """
        cdef AssessmentC found
        self.judge(text, &found)
        return self.as_assessment(&found)

    def vector(self, str text not None):
        """What goes into the network, then what comes out of it, raw: what `Gain.dense` weighs.

        Raises:
            InvalidTextError: the text holds a lone surrogate.
        """
        cdef SignalsC signals
        cdef double[INPUTS_MOST] z
        cdef double[OUTPUTS_MOST] out
        cdef Py_ssize_t place
        self._reader.read(text, &signals)
        fill_inputs(&self._network, &signals, z)
        fill_outputs(&self._network, z, out)
        return (*[z[place] for place in range(self._network.inputs)], *[out[place] for place in range(self._network.outputs)])

    def buckets(self, str text not None):
        """The buckets of words, pairs and n-grams, in order, each an `array` of 16-bit numbers.

        Raises:
            InvalidTextError: the text holds a lone surrogate.
        """
        return self._reader.buckets(text)

    def counters(self, str text not None):
        """The counters, as `signals.COUNTERS` names them.

        Raises:
            InvalidTextError: the text holds a lone surrogate.
        """
        return self._reader.counters(text)
