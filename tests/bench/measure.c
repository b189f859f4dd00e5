/*
 * measure REPORT PROGRAM ARGUMENTS...: run a program; write its CPU time in
 * microseconds and its peak memory in KiB to the file REPORT. In C because a
 * child's peak starts with what its parent had when it forked, and Python has
 * more than the programs that are measured.
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long microseconds(struct timeval time)
{
    return time.tv_sec * 1000000L + time.tv_usec;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    int status;
    FILE *report = argc > 2 ? fopen(argv[1], "we") : NULL;
    pid_t child = report ? fork() : -1;

    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        return 126;
    fprintf(report, "%ld %ld\n", microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_maxrss);
    return fclose(report) == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
