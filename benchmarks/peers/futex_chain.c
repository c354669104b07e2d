/* The floor: four hops over four processes, A -> B -> C -> D -> A, by futexes in shared memory.
 *
 * A sleeps until the tick's absolute time, stamps, writes B's counter and wakes B; B, C and D each
 * sleep in FUTEX_WAIT and pass the counter on; A sleeps in FUTEX_WAIT until D wakes it and stamps
 * again. Nothing spins and there is no payload. Interval 0 is back to back. A tick that is due
 * while the last one is under way waits for the next slot, so no queue ever builds.
 *
 * usage: futex_chain INTERVAL_US SAMPLES WARMUP SECONDS_MAX
 * Prints one latency in ns a line. Children die with A; A dies of SIGALRM after SECONDS_MAX.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOPS 4

/* One a process, each on a cache line of its own. */
struct bell {
    _Alignas(64) _Atomic uint32_t counter;
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t due_ns) {
    struct timespec due = {due_ns / 1000000000, due_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR) {
    }
}

static void ring(struct bell *bell, uint32_t value) {
    atomic_store_explicit(&bell->counter, value, memory_order_release);
    syscall(SYS_futex, &bell->counter, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The kernel compares the counter again before it sleeps, so a ring in between is never lost. */
static void wait_for(struct bell *bell, uint32_t value) {
    uint32_t seen;
    while ((seen = atomic_load_explicit(&bell->counter, memory_order_acquire)) != value)
        syscall(SYS_futex, &bell->counter, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void pass_on(struct bell *mine, struct bell *next, uint32_t total, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* A died before the line above */
        _exit(1);
    for (uint32_t tick = 1; tick <= total; tick++) {
        wait_for(mine, tick);
        ring(next, tick);
    }
    _exit(0);
}

static int64_t next_due(int64_t due_ns, int64_t interval_ns) {
    int64_t now = now_ns();
    due_ns += interval_ns;
    if (due_ns < now)
        due_ns += (now - due_ns) / interval_ns * interval_ns + interval_ns;
    return due_ns;
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: %s INTERVAL_US SAMPLES WARMUP SECONDS_MAX\n", words[0]);
        return 2;
    }
    int64_t interval_ns = atoll(words[1]) * 1000;
    uint32_t samples = (uint32_t)atol(words[2]), warmup = (uint32_t)atol(words[3]);
    uint32_t total = samples + warmup;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm((unsigned)atoi(words[4]));

    struct bell *bells = mmap(NULL, HOPS * sizeof(struct bell), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int64_t *latencies = malloc((size_t)samples * sizeof(int64_t));
    if (bells == MAP_FAILED || !latencies) {
        perror("memory");
        return 1;
    }
    pid_t parent = getpid();
    for (int hop = 1; hop < HOPS; hop++) {
        pid_t child = fork();
        if (child < 0) {
            perror("fork");
            return 1;
        }
        if (child == 0)
            pass_on(&bells[hop], &bells[(hop + 1) % HOPS], total, parent);
    }
    int64_t due_ns = now_ns();
    for (uint32_t tick = 1; tick <= total; tick++) {
        if (interval_ns) {
            due_ns = next_due(due_ns, interval_ns);
            sleep_until(due_ns);
        }
        int64_t start = now_ns();
        ring(&bells[1], tick);
        wait_for(&bells[0], tick);
        if (tick > warmup)
            latencies[tick - warmup - 1] = now_ns() - start;
    }
    while (wait(NULL) > 0) {
    }
    for (uint32_t sample = 0; sample < samples; sample++)
        printf("%lld\n", (long long)latencies[sample]);
    return 0;
}
