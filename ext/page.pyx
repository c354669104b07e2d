"""An actor's page in shared memory: its identity, heartbeat, counters, acknowledgements, histograms.

One flat array of 64-bit words with a fixed layout, so that watching an actor costs the actor
nothing: it stores words, whoever wants to know maps the page and reads them. Aligned 64-bit loads
and stores are atomic on every machine we run on; a reader may see counters of neighbouring
instants, never half a number.

Histograms are log-linear: eight buckets an octave from 256 ns (everything below is bucket 0) up to
about 4.6 minutes, so a percentile is right to 1/8 of its value or better.
"""

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <time.h>
    static inline int co_octave(uint64_t v) { return 63 - __builtin_clzll(v); }
    static inline int64_t co_page_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    """
    int co_octave(uint64_t v) nogil
    int64_t co_page_now() nogil

cdef enum:
    SENDERS = 64
    STAGES = 4
    BUCKETS = 256
    BELL_WORD = 16  # 128 bytes of bell: words 16..31
    COUNTER_WORD = 32  # words 32..95
    COUNTERS = 64
    ACK_WORD = 96  # words 96..159
    STAGE_WORD = 160  # count, sum, max and the buckets of each stage
    STAGE_WORDS = 3 + BUCKETS
    WORDS = STAGE_WORD + STAGES * STAGE_WORDS

cdef int64_t MAGIC = 0x434F5041474531  # "COPAGE1"

PAGE_BYTES = ((WORDS * 8 + 4095) // 4096) * 4096
BELL_OFFSET = BELL_WORD * 8
SENDERS_MAX = SENDERS
STAGES_MAX = STAGES


cdef inline int bucket_of(int64_t value_ns) noexcept nogil:
    """Eight buckets an octave above 256 ns."""
    cdef int octave, bucket
    if value_ns < 256:
        return 0
    octave = co_octave(<uint64_t> value_ns)
    bucket = 1 + (octave - 8) * 8 + <int> ((value_ns >> (octave - 3)) & 7)
    return bucket if bucket < BUCKETS else BUCKETS - 1


def bucket_top_ns(bucket: int) -> int:
    """The largest value in ns that `bucket` holds."""
    if bucket <= 0:
        return 255
    octave, part = divmod(bucket - 1, 8)
    return ((8 + part + 1) << (octave + 5)) - 1


cdef class Page:
    """A view of a page's words in `buffer`; `format()` makes a fresh one."""

    cdef int64_t *_words
    cdef object _owner

    def __cinit__(self, unsigned char[::1] buffer):
        if buffer.shape[0] < PAGE_BYTES:
            raise ValueError(f"a page has {PAGE_BYTES} bytes, this buffer {buffer.shape[0]}")
        self._owner = buffer
        self._words = <int64_t *> &buffer[0]

    def format(self, int64_t pid, int64_t epoch, int64_t now_ns) -> None:
        """Clear the page and write who owns it. The magic word comes last: it makes it valid."""
        cdef Py_ssize_t i
        for i in range(WORDS):
            self._words[i] = 0
        self._words[1] = pid
        self._words[2] = epoch
        self._words[4] = now_ns
        self._words[5] = now_ns
        self._words[0] = MAGIC

    @property
    def valid(self) -> bool:
        """Whether an owner has formatted this page."""
        return self._words[0] == MAGIC

    @property
    def pid(self) -> int:
        """The owner's process id."""
        return self._words[1]

    @property
    def epoch(self) -> int:
        """The owner's epoch."""
        return self._words[2]

    @property
    def state(self) -> int:
        """The owner's state, as numbered by `engine.edges.directory.ActorState`."""
        return self._words[3]

    @state.setter
    def state(self, int64_t value):
        self._words[3] = value

    @property
    def heartbeat_ns(self) -> int:
        """When the owner last went round its loop, on the monotonic clock."""
        return self._words[4]

    @heartbeat_ns.setter
    def heartbeat_ns(self, int64_t value):
        self._words[4] = value

    @property
    def started_ns(self) -> int:
        """When the owner formatted the page, on the monotonic clock."""
        return self._words[5]

    @property
    def first_step_ns(self) -> int:
        """When the owner first processed a message, on the monotonic clock; 0 before."""
        return self._words[6]

    @first_step_ns.setter
    def first_step_ns(self, int64_t value):
        self._words[6] = value

    def add(self, int counter, int64_t amount) -> None:
        """Add to a counter (0 to 63)."""
        if not 0 <= counter < COUNTERS:
            raise IndexError(counter)
        self._words[COUNTER_WORD + counter] += amount

    def put(self, int counter, int64_t value) -> None:
        """Set a counter (0 to 63)."""
        if not 0 <= counter < COUNTERS:
            raise IndexError(counter)
        self._words[COUNTER_WORD + counter] = value

    def get(self, int counter) -> int:
        """Read a counter (0 to 63)."""
        if not 0 <= counter < COUNTERS:
            raise IndexError(counter)
        return self._words[COUNTER_WORD + counter]

    def acknowledge(self, int sender, int64_t sequence) -> None:
        """Say that everything from `sender` up to `sequence` is durably processed here."""
        if not 0 <= sender < SENDERS:
            raise IndexError(sender)
        self._words[ACK_WORD + sender] = sequence

    def acknowledged(self, int sender) -> int:
        """Up to which sequence of `sender` the owner has durably processed."""
        if not 0 <= sender < SENDERS:
            raise IndexError(sender)
        return self._words[ACK_WORD + sender]

    def record(self, int stage, int64_t value_ns) -> None:
        """Put one latency into a stage's histogram."""
        cdef int64_t *words
        if not 0 <= stage < STAGES:
            raise IndexError(stage)
        words = self._words + STAGE_WORD + stage * STAGE_WORDS
        words[0] += 1
        words[1] += value_ns
        if value_ns > words[2]:
            words[2] = value_ns
        words[3 + bucket_of(value_ns)] += 1

    def count(self, int stage) -> int:
        """How many latencies a stage has recorded."""
        if not 0 <= stage < STAGES:
            raise IndexError(stage)
        return self._words[STAGE_WORD + stage * STAGE_WORDS]

    def percentiles(self, int stage, *quantiles: float) -> tuple:
        """The stage's percentiles in ns (upper bucket bounds, the maximum exact); 0 when empty."""
        cdef int64_t *words
        cdef int64_t total, running
        cdef int bucket
        if not 0 <= stage < STAGES:
            raise IndexError(stage)
        words = self._words + STAGE_WORD + stage * STAGE_WORDS
        total = words[0]
        if total == 0:
            return tuple(0 for _ in quantiles)
        found = []
        for quantile in quantiles:
            running = 0
            for bucket in range(BUCKETS):
                running += words[3 + bucket]
                if running >= quantile * total:
                    break
            found.append(min(bucket_top_ns(bucket), words[2]))
        return tuple(found)


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in ns, the same on every process of this machine."""
    return co_page_now()
