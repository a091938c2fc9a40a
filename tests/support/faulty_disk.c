/* A disk that fails or stalls when it is told to: preloaded into a broker (LD_PRELOAD), in front of
 * the C library. FAULTY_FOLDER names the folder that is on the disk; FAULTY_ORDER a file, elsewhere,
 * that says what to do: "fail" (EIO for whatever changes or flushes something), "stall" (reads wait
 * until the order is another), or nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_ordered(const char *order) {
    const char *path = getenv("FAULTY_ORDER");
    char text[16] = {0};
    long fd = path == NULL ? -1 : syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    long got = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    return got > 0 && strcmp(text, order) == 0;
}

static bool is_there(const char *path) {
    const char *folder = getenv("FAULTY_FOLDER");
    return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static bool is_open_there(int fd) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) {
        return false;
    }
    path[n] = '\0';
    return is_there(path);
}

static bool fails(int fd) {
    bool failed = is_open_there(fd) && is_ordered("fail");
    if (failed) {
        errno = EIO;
    }
    return failed;
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

ssize_t pread(int fd, void *to, size_t n, off_t at) {
    while (is_open_there(fd) && is_ordered("stall")) {
        usleep(20000);
    }
    return NEXT(ssize_t(*)(int, void *, size_t, off_t), "pread")(fd, to, n, at);
}

ssize_t write(int fd, const void *from, size_t n) {
    return fails(fd) ? -1 : NEXT(ssize_t(*)(int, const void *, size_t), "write")(fd, from, n);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) {
    return fails(fd) ? -1
                     : NEXT(ssize_t(*)(int, const void *, size_t, off_t), "pwrite")(fd, from, n, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at) {
    return fails(fd) ? -1
                     : NEXT(ssize_t(*)(int, const struct iovec *, int, off_t), "pwritev")(fd, iov,
                                                                                        count, at);
}

int fsync(int fd) {
    return fails(fd) ? -1 : NEXT(int (*)(int), "fsync")(fd);
}

int fdatasync(int fd) {
    return fails(fd) ? -1 : NEXT(int (*)(int), "fdatasync")(fd);
}

static int open_there(const char *path, int flags, mode_t mode) {
    if ((flags & O_CREAT) != 0 && is_there(path) && is_ordered("fail")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define MODE_OF(flags, mode)                     \
    mode_t mode = 0;                             \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) { \
        va_list arguments;                       \
        va_start(arguments, flags);              \
        mode = va_arg(arguments, mode_t);        \
        va_end(arguments);                       \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_there(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_there(path, flags | O_LARGEFILE, mode);
}
