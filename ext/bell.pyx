"""The doorbell: how a reader of shared memory sleeps, and how a writer wakes it only when it sleeps.

Two 32-bit words in a page that both map: `counter`, on which the reader waits as on a futex, and
`parked`, which the reader sets before it sleeps. A ring is a memory read while the reader is awake
and one system call when it is parked. A reader that already lives in an event loop gives a named
pipe instead: the ring then writes one byte to it, and the loop's epoll wakes.

Why nothing is lost when a reader parks while a writer rings:

    reader                               writer
    R1  seen = counter                   W1  publish the message
    R2  parked = 1      (seq_cst)        W2  fence            (seq_cst)
    R3  look for mail   (after R2)       W3  if exchange(parked, 0): counter += 1, wake
    R4  futex_wait(counter, seen)

Sequential consistency orders R2 and W3's exchange one way or the other. If R2 comes first, W3 sees
`parked` and rings: either the reader already waits and is woken, or it has not waited yet and the
kernel compares `counter` with `seen`, finds them different and returns at once. If W3 comes first,
W1 precedes R3, so the reader's look finds the message and it does not sleep. `exchange` lets one
of several writers ring and spares the others the call. tests/test_bell.py stresses this.
"""


from libc.stdint cimport int64_t, uint32_t

import os

cdef extern from *:
    """
    #include <linux/futex.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #include <time.h>
    #include <limits.h>
    #include <stdint.h>
    static inline uint32_t co_load(uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
    static inline void co_store(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
    static inline uint32_t co_exchange(uint32_t *p, uint32_t v) {
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
    }
    static inline void co_add(uint32_t *p) { __atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST); }
    static inline void co_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    static inline void co_pause(void) {
    #if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
    #endif
    }
    static inline long co_wait(uint32_t *p, uint32_t seen, int64_t timeout_ns) {
        struct timespec t;
        t.tv_sec = timeout_ns / 1000000000;
        t.tv_nsec = timeout_ns % 1000000000;
        return syscall(SYS_futex, p, FUTEX_WAIT, seen, &t, (void *)0, 0);
    }
    static inline void co_wake(uint32_t *p) {
        syscall(SYS_futex, p, FUTEX_WAKE, INT_MAX, (void *)0, (void *)0, 0);
    }
    static inline int64_t co_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    static inline long co_ring_pipe(int fd) { return write(fd, "!", 1); }
    """
    uint32_t co_load(uint32_t *p) nogil
    void co_store(uint32_t *p, uint32_t v) nogil
    uint32_t co_exchange(uint32_t *p, uint32_t v) nogil
    void co_add(uint32_t *p) nogil
    void co_fence() nogil
    void co_pause() nogil
    long co_wait(uint32_t *p, uint32_t seen, int64_t timeout_ns) nogil
    void co_wake(uint32_t *p) nogil
    int64_t co_now() nogil
    long co_ring_pipe(int fd) nogil

# The two words stand on cache lines of their own, so that a writer's look at `parked` does not
# contend with the counters the reader writes beside them.
COUNTER_OFFSET = 0
PARKED_OFFSET = 64
BELL_BYTES = 128


cdef class Bell:
    """A doorbell in `buffer` at `offset` (128 bytes, 64-byte aligned); `pipe` is a fd or -1.

    The reader calls `park`, looks for mail, then `wait` or `unpark`; writers call `ring`.
    """

    cdef uint32_t *_counter
    cdef uint32_t *_parked
    cdef object _owner
    cdef readonly int pipe

    def __cinit__(self, unsigned char[::1] buffer, Py_ssize_t offset, int pipe=-1):
        if offset < 0 or offset + BELL_BYTES > buffer.shape[0]:
            raise ValueError(f"a bell needs {BELL_BYTES} bytes at offset {offset}")
        self._owner = buffer
        self._counter = <uint32_t *> &buffer[offset]
        self._parked = <uint32_t *> &buffer[offset + PARKED_OFFSET]
        self.pipe = pipe

    def ring(self) -> bool:
        """Wake the reader if it is parked; True when a system call was made."""
        co_fence()
        if co_load(self._parked) == 0 or co_exchange(self._parked, 0) == 0:
            return False
        co_add(self._counter)
        if self.pipe >= 0:
            co_ring_pipe(self.pipe)  # a full pipe has unread rings in it: the loop will wake anyway
        else:
            co_wake(self._counter)
        return True

    def park(self) -> int:
        """Say that the reader is about to sleep; look for mail after this, then `wait(seen)`."""
        cdef uint32_t seen = co_load(self._counter)
        co_store(self._parked, 1)
        co_fence()
        return seen

    def unpark(self) -> None:
        """The reader found mail, or was woken: rings cost nothing again."""
        co_store(self._parked, 0)

    def wait(self, uint32_t seen, int64_t timeout_ns, int64_t spin_ns=0) -> bool:
        """Sleep without the GIL until rung or `timeout_ns` is over; True when rung.

        Spins for `spin_ns` first. Unparks before it returns. Signals interrupt it (False).
        """
        cdef long result
        cdef int64_t until
        cdef bint rung
        with nogil:
            if spin_ns > 0:
                until = co_now() + spin_ns
                while co_load(self._counter) == seen and co_now() < until:
                    co_pause()
            if timeout_ns > 0 and co_load(self._counter) == seen:
                result = co_wait(self._counter, seen, timeout_ns)
            rung = co_load(self._counter) != seen
            co_store(self._parked, 0)
        return rung

    @property
    def parked(self) -> bool:
        """Whether the reader says it sleeps."""
        return co_load(self._parked) != 0


def open_pipe_writer(path: str) -> int:
    """A non-blocking write end of the named pipe at `path`; raises OSError when nobody reads it."""
    return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
