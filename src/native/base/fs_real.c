/* The file system of the operating system. Calls that a signal interrupts are repeated; a
 * short read or write goes on where it ended. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

#define RETRY(result, call) \
    do {                    \
        (result) = (call);  \
    } while ((result) < 0 && errno == EINTR)

static enum pl_err outcome(int result) {
    return result < 0 ? pl_err_from_errno(errno) : PL_OK;
}

static enum pl_err real_open(void *context, const char *path, enum pl_open_mode mode, int *fd) {
    (void)context;
    static const int flags[] = {
        [PL_OPEN_READ] = O_RDONLY,
        [PL_OPEN_WRITE] = O_RDWR | O_CREAT,
        [PL_OPEN_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
        [PL_OPEN_TRUNCATE] = O_RDWR | O_CREAT | O_TRUNC,
    };
    int result;
    RETRY(result, open(path, flags[mode] | O_CLOEXEC, 0644));
    if (result >= 0) {
        *fd = result;
    }
    return outcome(result);
}

static enum pl_err real_close(void *context, int fd) {
    (void)context;
    /* Linux frees the descriptor even when close is interrupted: never twice (close(2)). */
    int result = close(fd);
    return result < 0 && errno != EINTR ? pl_err_from_errno(errno) : PL_OK;
}

static enum pl_err real_read_at(void *context, int fd, void *to, size_t n, uint64_t at,
                                size_t *got) {
    (void)context;
    size_t done = 0;
    while (done < n) {
        ssize_t part;
        RETRY(part, pread(fd, (char *)to + done, n - done, (off_t)(at + done)));
        if (part < 0) {
            return pl_err_from_errno(errno);
        }
        if (part == 0) {
            break;
        }
        done += (size_t)part;
    }
    *got = done;
    return PL_OK;
}

enum { PROBE_BYTES = 256 * 1024 };

static bool byte_is_cached(int fd, uint64_t at) {
    char byte;
    struct iovec iov = {&byte, 1};
    return preadv2(fd, &iov, 1, (off_t)at, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static bool real_is_cached(void *context, int fd, uint64_t at, size_t n) {
    (void)context;
    for (size_t done = PROBE_BYTES; done < n; done += PROBE_BYTES) {
        if (!byte_is_cached(fd, at + done)) {
            return false;
        }
    }
    return n == 0 || byte_is_cached(fd, at + n - 1);
}

static enum pl_err write_whole(int fd, const char *bytes, size_t n, uint64_t at) {
    for (size_t done = 0; done < n;) {
        ssize_t part;
        RETRY(part, pwrite(fd, bytes + done, n - done, (off_t)(at + done)));
        if (part < 0) {
            return pl_err_from_errno(errno);
        }
        if (part == 0) {
            return PL_ERR_IO;
        }
        done += (size_t)part;
    }
    return PL_OK;
}

static enum pl_err real_write_at(void *context, int fd, const struct iovec *iov, int count,
                                 uint64_t at) {
    (void)context;
    int first = 0;
    while (first < count) {
        int some = count - first < PL_MAX_IOV ? count - first : PL_MAX_IOV;
        ssize_t part;
        RETRY(part, pwritev(fd, iov + first, some, (off_t)at));
        if (part < 0) {
            return pl_err_from_errno(errno);
        }
        size_t left = (size_t)part;
        at += left;
        while (first < count && left >= iov[first].iov_len) {
            left -= iov[first++].iov_len;
        }
        if (left == 0 && part > 0) {
            continue;
        }
        if (first == count) {
            break;
        }
        size_t rest = iov[first].iov_len - left;
        enum pl_err err = write_whole(fd, (const char *)iov[first].iov_base + left, rest, at);
        if (err != PL_OK) {
            return err;
        }
        at += rest;
        first++;
    }
    return PL_OK;
}

static enum pl_err real_flush(void *context, int fd) {
    (void)context;
    int result;
    RETRY(result, fdatasync(fd));
    return outcome(result);
}

static enum pl_err real_flush_directory(void *context, const char *path) {
    (void)context;
    int fd;
    RETRY(fd, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) {
        return pl_err_from_errno(errno);
    }
    int result;
    RETRY(result, fsync(fd));
    enum pl_err err = outcome(result);
    enum pl_err closed = real_close(NULL, fd);
    return err != PL_OK ? err : closed;
}

static enum pl_err real_truncate(void *context, int fd, uint64_t size) {
    (void)context;
    int result;
    RETRY(result, ftruncate(fd, (off_t)size));
    return outcome(result);
}

static enum pl_err real_size(void *context, int fd, uint64_t *size) {
    (void)context;
    struct stat found;
    if (fstat(fd, &found) < 0) {
        return pl_err_from_errno(errno);
    }
    *size = (uint64_t)found.st_size;
    return PL_OK;
}

static enum pl_err real_rename(void *context, const char *from, const char *to) {
    (void)context;
    return outcome(rename(from, to));
}

static enum pl_err real_unlink(void *context, const char *path) {
    (void)context;
    return outcome(unlink(path));
}

static enum pl_err real_make_directory(void *context, const char *path) {
    (void)context;
    return outcome(mkdir(path, 0755));
}

static enum pl_err real_remove_directory(void *context, const char *path) {
    (void)context;
    return outcome(rmdir(path));
}

static enum pl_err each_name(DIR *directory, enum pl_err (*each)(void *argument, const char *name),
                             void *argument) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            return errno == 0 ? PL_OK : pl_err_from_errno(errno);
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        enum pl_err err = each(argument, entry->d_name);
        if (err != PL_OK) {
            return err;
        }
    }
}

static enum pl_err real_list(void *context, const char *path,
                             enum pl_err (*each)(void *argument, const char *name),
                             void *argument) {
    (void)context;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return pl_err_from_errno(errno);
    }
    enum pl_err err = each_name(directory, each, argument);
    if (closedir(directory) < 0 && err == PL_OK) {
        err = pl_err_from_errno(errno);
    }
    return err;
}

const struct pl_fs pl_fs_real = {
    .context = NULL,
    .open = real_open,
    .close = real_close,
    .read_at = real_read_at,
    .is_cached = real_is_cached,
    .write_at = real_write_at,
    .flush = real_flush,
    .flush_directory = real_flush_directory,
    .truncate = real_truncate,
    .size = real_size,
    .rename = real_rename,
    .unlink = real_unlink,
    .make_directory = real_make_directory,
    .remove_directory = real_remove_directory,
    .list = real_list,
};
