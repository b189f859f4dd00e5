/* Tells ThreadSanitizer what a thread that waited for a lock of Rust's standard
 * library has to do with the one that woke it: the library comes compiled, and
 * ThreadSanitizer sees only the part of its locks that is inlined. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

long syscall(long number, ...) {
    static long (*real)(long, ...);
    long given[6], result;
    va_list arguments;
    int operation;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        given[i] = va_arg(arguments, long);
    va_end(arguments);
    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    operation = number == SYS_futex ? (int)given[1] & FUTEX_CMD_MASK : -1;
    if (operation == FUTEX_WAKE)
        __tsan_release((void *)given[0]);
    result = real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
    if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET)
        __tsan_acquire((void *)given[0]);
    return result;
}
