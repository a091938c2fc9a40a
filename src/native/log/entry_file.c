#include "log/entry_file.h"

#include <stdlib.h>
#include <string.h>

void pl_entry_file_init(struct pl_entry_file *file, uint32_t width) {
    *file = (struct pl_entry_file){.width = width};
}

void pl_entry_file_free(struct pl_entry_file *file) {
    free(file->buffer);
    file->buffer = NULL;
    file->room = 0;
}

enum pl_err pl_entry_file_load(struct pl_entry_file *file, const struct pl_fs *fs, const char *path,
                               bool *found) {
    int fd;
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_READ, &fd);
    *found = err == PL_OK;
    if (err == PL_ERR_NOT_FOUND) {
        return PL_OK;
    }
    if (err != PL_OK) {
        return err;
    }
    uint64_t size = 0;
    err = fs->size(fs->context, fd, &size);
    enum pl_err closed = fs->close(fs->context, fd);
    if (err == PL_OK) {
        err = closed;
    }
    if (err != PL_OK) {
        return err;
    }
    if (size % file->width != 0 || size / file->width > UINT32_MAX / 2) {
        return PL_ERR_CORRUPT;
    }
    file->written = (uint32_t)(size / file->width);
    return PL_OK;
}

enum pl_err pl_entry_file_reserve(struct pl_entry_file *file) {
    if (file->pending < file->room) {
        return PL_OK;
    }
    uint32_t room = file->room == 0 ? 8 : file->room * 2;
    uint8_t *buffer = realloc(file->buffer, (size_t)room * file->width);
    if (buffer == NULL) {
        return PL_ERR_MEMORY;
    }
    file->buffer = buffer;
    file->room = room;
    return PL_OK;
}

void pl_entry_file_add(struct pl_entry_file *file, const uint8_t *entry) {
    memcpy(file->buffer + (size_t)file->pending * file->width, entry, file->width);
    file->pending++;
}

static enum pl_err write_pending(struct pl_entry_file *file, const struct pl_fs *fs, int fd) {
    uint64_t end = (uint64_t)file->written * file->width;
    if (file->torn) {
        enum pl_err err = fs->truncate(fs->context, fd, end);
        if (err != PL_OK) {
            return err;
        }
    }
    struct iovec iov = {
        .iov_base = file->buffer,
        .iov_len = (size_t)file->pending * file->width,
    };
    enum pl_err err = fs->write_at(fs->context, fd, &iov, 1, end);
    file->torn = err != PL_OK;
    return err;
}

enum pl_err pl_entry_file_spill(struct pl_entry_file *file, const struct pl_fs *fs,
                                const char *path, bool *created) {
    *created = false;
    if (file->pending == 0) {
        return PL_OK;
    }
    /* A file left by an earlier life of the log may be longer than what is known of it. */
    enum pl_open_mode mode = file->written == 0 ? PL_OPEN_TRUNCATE : PL_OPEN_WRITE;
    int fd;
    enum pl_err err = fs->open(fs->context, path, mode, &fd);
    if (err != PL_OK) {
        return err;
    }
    *created = file->written == 0;
    err = write_pending(file, fs, fd);
    enum pl_err closed = fs->close(fs->context, fd);
    if (err == PL_OK) {
        err = closed;
    }
    if (err != PL_OK) {
        return err;
    }
    file->written += file->pending;
    file->pending = 0;
    return PL_OK;
}

enum pl_err pl_entry_file_cut(struct pl_entry_file *file, const struct pl_fs *fs, const char *path,
                              uint32_t count) {
    if (count >= file->written) {
        pl_entry_file_forget(file, count);
        return PL_OK;
    }
    int fd;
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_WRITE, &fd);
    if (err != PL_OK) {
        return err;
    }
    err = fs->truncate(fs->context, fd, (uint64_t)count * file->width);
    enum pl_err closed = fs->close(fs->context, fd);
    if (err == PL_OK) {
        err = closed;
    }
    if (err != PL_OK) {
        return err;
    }
    file->written = count;
    file->pending = 0;
    return PL_OK;
}

void pl_entry_file_forget(struct pl_entry_file *file, uint32_t count) {
    if (count < file->written) {
        count = file->written;
    }
    if (count - file->written < file->pending) {
        file->pending = count - file->written;
    }
}

void pl_entry_reader_open(struct pl_entry_reader *reader, const struct pl_entry_file *file,
                          const struct pl_fs *fs, const char *path) {
    *reader = (struct pl_entry_reader){.file = file, .fs = fs, .path = path, .fd = -1};
}

void pl_entry_reader_close(struct pl_entry_reader *reader) {
    if (reader->fd >= 0) {
        (void)reader->fs->close(reader->fs->context, reader->fd); /* was only read */
    }
    reader->fd = -1;
}

static enum pl_err read_written(struct pl_entry_reader *reader, uint32_t i, uint32_t some,
                                uint8_t *to) {
    const struct pl_fs *fs = reader->fs;
    if (reader->fd < 0) {
        enum pl_err err = fs->open(fs->context, reader->path, PL_OPEN_READ, &reader->fd);
        if (err != PL_OK) {
            reader->fd = -1;
            return err == PL_ERR_NOT_FOUND ? PL_ERR_CORRUPT : err;
        }
    }
    uint32_t width = reader->file->width;
    size_t n = (size_t)some * width, got = 0;
    enum pl_err err = fs->read_at(fs->context, reader->fd, to, n, (uint64_t)i * width, &got);
    if (err == PL_OK && got < n) {
        err = PL_ERR_CORRUPT;
    }
    return err;
}

enum pl_err pl_entry_read(struct pl_entry_reader *reader, uint32_t i, uint32_t some, uint8_t *to) {
    const struct pl_entry_file *file = reader->file;
    uint32_t on_disk = 0;
    if (i < file->written) {
        on_disk = file->written - i < some ? file->written - i : some;
        enum pl_err err = read_written(reader, i, on_disk, to);
        if (err != PL_OK) {
            return err;
        }
    }
    if (on_disk < some) {
        memcpy(to + (size_t)on_disk * file->width,
               file->buffer + (size_t)(i + on_disk - file->written) * file->width,
               (size_t)(some - on_disk) * file->width);
    }
    return PL_OK;
}

enum pl_err pl_entry_search(struct pl_entry_reader *reader,
                            bool (*before)(const uint8_t *entry, int64_t argument),
                            int64_t argument, uint32_t *count) {
    const struct pl_entry_file *file = reader->file;
    uint32_t low = 0, high = pl_entry_file_count(file);
    uint8_t entry[PL_ENTRY_MAX_WIDTH];
    /* What is in memory tells first on which side of it the answer lies, without a read. */
    uint32_t middle = file->pending > 0 ? file->written : (low + high) / 2;
    while (low < high) {
        enum pl_err err = pl_entry_read(reader, middle, 1, entry);
        if (err != PL_OK) {
            return err;
        }
        if (before(entry, argument)) {
            low = middle + 1;
        } else {
            high = middle;
        }
        middle = low + (high - low) / 2;
    }
    *count = low;
    return PL_OK;
}
