/* Preloaded, it makes a program slow at changing files: then a random moment of
 * its life is often one between two changes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of its moves most, since there are few. */
enum { MICROSECONDS = 1500, MOVE_MICROSECONDS = 6000 };

int mkdir(const char *path, mode_t mode) {
    usleep(MICROSECONDS);
    return mkdirat(AT_FDCWD, path, mode);
}

int rename(const char *from, const char *to) {
    usleep(MOVE_MICROSECONDS);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int fsync(int file) {
    usleep(MICROSECONDS);
    return (int)syscall(SYS_fsync, file);
}

int unlinkat(int directory, const char *path, int flags) {
    usleep(MICROSECONDS);
    return (int)syscall(SYS_unlinkat, directory, path, flags);
}
