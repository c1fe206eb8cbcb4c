/* Ends the process, or fails, at a chosen call that writes to a file below a folder; preloaded by faults.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long chosen = -1, count;
static int error;

void faults_arm(const char *path, long call, int number) {
    strncpy(folder, path, sizeof folder - 1);
    chosen = call;
    error = number;
}

long faults_count(void) { return count; }

static int fails(int fd) {
    char link[64], path[PATH_MAX] = "";
    if (!folder[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0 || strncmp(path, folder, strlen(folder)) || count++ != chosen)
        return 0;
    if (!error)
        _exit(137);
    errno = error;
    return 1;
}

#define WRAP(type, name, parameters, arguments)         \
    type name parameters {                              \
        static type(*real) parameters;                  \
        if (!real)                                      \
            real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        return fails(fd) ? -1 : real arguments;         \
    }

WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRAP(ssize_t, writev, (int fd, const struct iovec *parts, int number), (fd, parts, number))
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRAP(ssize_t, sendfile64, (int fd, int source, off64_t *at, size_t size), (fd, source, at, size))
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
