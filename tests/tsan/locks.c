// What ThreadSanitizer is told of the parts of the standard library that were compiled without it.
//
// Owns a wrapper for each function that orders threads where the sanitizer cannot see it; the linker puts
// them in. Each says no more than what the function promises. Knows nothing of the product.
//
// The names come from the script beside this folder: LOCK is how this toolchain calls `Mutex::lock_contended`.

#include <stdbool.h>
#include <stdint.h>

// The clock of an address, the same one that the sanitizer keeps for the atomics there.
void __tsan_acquire(void *at);
void __tsan_release(void *at);

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define REAL(name) JOIN(__real_, name)
#define WRAP(name) JOIN(__wrap_, name)

// The slow paths of locks. The word that the fast paths and the unlocking, which are inlined into instrumented
// code, exchange is each lock's first.
#define SLOW(name) \
    void REAL(name)(void *lock); \
    void WRAP(name)(void *lock) { \
        REAL(name)(lock); \
        __tsan_acquire(lock); \
    }
SLOW(LOCK)
SLOW(READ)
SLOW(WRITE)

// A condition variable gives the lock up and takes it again.
void REAL(WAIT)(void *condvar, void *lock);
void WRAP(WAIT)(void *condvar, void *lock) {
    __tsan_release(lock);
    REAL(WAIT)(condvar, lock);
    __tsan_acquire(lock);
}
bool REAL(WAIT_TIMEOUT)(void *condvar, void *lock, uint64_t seconds, uint32_t nanos);
bool WRAP(WAIT_TIMEOUT)(void *condvar, void *lock, uint64_t seconds, uint32_t nanos) {
    __tsan_release(lock);
    bool in_time = REAL(WAIT_TIMEOUT)(condvar, lock, seconds, nanos);
    __tsan_acquire(lock);
    return in_time;
}

// The first call of a `Once` or `OnceLock`: what the closure did comes before whoever finds it done. The closure
// is a `&mut dyn FnMut(&OnceState)`, whose table holds drop, size, alignment, `call_once`, `call_mut`. A release
// after the whole call would be too late: others may have looked by then.
typedef void call_mut(void *closure, void *state);
struct once {
    void *word, *closure;
    void *const *table;
};
static void run_and_release(struct once *once, void *state) {
    ((call_mut *)once->table[4])(once->closure, state);
    __tsan_release(once->word);
}
void REAL(ONCE)(void *word, bool ignores_poison, void *closure, void *const *table, void *caller);
void WRAP(ONCE)(void *word, bool ignores_poison, void *closure, void *const *table, void *caller) {
    static void *const releasing[] = {0, (void *)sizeof(struct once), (void *)8, 0, (void *)run_and_release};
    struct once once = {word, closure, table};
    REAL(ONCE)(word, ignores_poison, &once, releasing, caller);
    __tsan_acquire(word);
}

// A thread of a scope says that it has ended: it takes one from a counter, which the scope reads in instrumented
// code. The counter is one of the two words of the structure, which one is the compiler's choice.
void REAL(LEAVE)(void *scope, bool has_panicked);
void WRAP(LEAVE)(void *scope, bool has_panicked) {
    __tsan_release(scope);
    __tsan_release((char *)scope + 8);
    REAL(LEAVE)(scope, has_panicked);
}

// Whoever drops the last `Arc` uses a fence before what is inside is dropped; the sanitizer does not know fences.
// A standard library built for the sanitizer has a load there instead, and so has this.
uint64_t __real___tsan_atomic64_fetch_sub(volatile uint64_t *at, uint64_t less, int order);
uint64_t __wrap___tsan_atomic64_fetch_sub(volatile uint64_t *at, uint64_t less, int order) {
    enum { RELEASE = 3 };
    uint64_t before = __real___tsan_atomic64_fetch_sub(at, less, order);
    if (order == RELEASE && before == less) {
        __tsan_acquire((void *)at);
    }
    return before;
}
