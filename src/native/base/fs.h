/* The file system as a function table, so that a test can tear a write, fail a flush or fill
 * the disk. All paths are absolute or relative to the process; a file is a plain descriptor,
 * because sendfile needs one. Every function returns PL_OK or an error; out values are set on
 * PL_OK only. `pl_fs_real` is the one of the operating system.
 */
#ifndef PYLOG_BASE_FS_H
#define PYLOG_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

enum pl_open_mode {
    PL_OPEN_READ,       /* must exist */
    PL_OPEN_WRITE,      /* read and write, created when absent */
    PL_OPEN_CREATE_NEW, /* read and write, PL_ERR_EXISTS when present */
    PL_OPEN_TRUNCATE,   /* read and write, emptied */
};

struct pl_fs {
    void *context;
    enum pl_err (*open)(void *context, const char *path, enum pl_open_mode mode, int *fd);
    enum pl_err (*close)(void *context, int fd);
    /* Whole or error: short reads and writes are continued inside. A read that meets the end of
     * the file is PL_OK with *got < n. A failed write may have written a part. */
    enum pl_err (*read_at)(void *context, int fd, void *to, size_t n, uint64_t at, size_t *got);
    /* Whether reading n bytes at `at` would not wait for the disk, as far as some of the bytes
     * tell. NULL: it never waits. */
    bool (*is_cached)(void *context, int fd, uint64_t at, size_t n);
    enum pl_err (*write_at)(void *context, int fd, const struct iovec *iov, int count, uint64_t at);
    enum pl_err (*flush)(void *context, int fd); /* fdatasync */
    enum pl_err (*flush_directory)(void *context, const char *path);
    enum pl_err (*truncate)(void *context, int fd, uint64_t size);
    enum pl_err (*size)(void *context, int fd, uint64_t *size);
    enum pl_err (*rename)(void *context, const char *from, const char *to); /* replaces */
    enum pl_err (*unlink)(void *context, const char *path);
    enum pl_err (*make_directory)(void *context, const char *path); /* PL_ERR_EXISTS when present */
    enum pl_err (*remove_directory)(void *context, const char *path);
    /* Calls `each` with every name but . and .., in no order; stops on its first error. */
    enum pl_err (*list)(void *context, const char *path,
                        enum pl_err (*each)(void *argument, const char *name), void *argument);
};

extern const struct pl_fs pl_fs_real;

#endif
