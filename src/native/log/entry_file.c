#include "log/entry_file.h"

#include <stdlib.h>
#include <string.h>

void pl_entry_file_init(struct pl_entry_file *file, uint32_t width) {
    *file = (struct pl_entry_file){.width = width};
}

void pl_entry_file_free(struct pl_entry_file *file) {
    free(file->buffer);
    free(file->page);
    file->buffer = file->page = NULL;
    file->room = file->page_count = 0;
}

void pl_entry_file_clear(struct pl_entry_file *file) {
    file->written = 0;
    file->pending = 0;
    file->page_count = 0;
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

static enum pl_err write_pending(struct pl_entry_file *file, const struct pl_fs *fs, int fd,
                                 uint32_t some) {
    uint64_t end = (uint64_t)file->written * file->width;
    if (file->torn) {
        enum pl_err err = fs->truncate(fs->context, fd, end);
        if (err != PL_OK) {
            return err;
        }
    }
    struct iovec iov = {
        .iov_base = file->buffer,
        .iov_len = (size_t)some * file->width,
    };
    enum pl_err err = fs->write_at(fs->context, fd, &iov, 1, end);
    file->torn = err != PL_OK;
    return err;
}

enum pl_err pl_entry_file_spill(struct pl_entry_file *file, const struct pl_fs *fs,
                                const char *path, uint32_t count, bool *created) {
    *created = false;
    if (file->pending == 0 || count <= file->written) {
        return PL_OK;
    }
    uint32_t all = pl_entry_file_count(file), some = (count < all ? count : all) - file->written;
    /* A file left by an earlier life of the log may be longer than what is known of it. */
    enum pl_open_mode mode = file->written == 0 ? PL_OPEN_TRUNCATE : PL_OPEN_WRITE;
    int fd;
    enum pl_err err = fs->open(fs->context, path, mode, &fd);
    if (err != PL_OK) {
        return err;
    }
    *created = file->written == 0;
    err = write_pending(file, fs, fd, some);
    enum pl_err closed = fs->close(fs->context, fd);
    if (err == PL_OK) {
        err = closed;
    }
    if (err != PL_OK) {
        return err;
    }
    file->written += some;
    file->pending -= some;
    memmove(file->buffer, file->buffer + (size_t)some * file->width,
            (size_t)file->pending * file->width);
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
    file->page_count = 0;
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

/* An entry that is in memory anyway, or NULL. */
static const uint8_t *entry_in_memory(const struct pl_entry_file *file, uint32_t i) {
    if (i >= file->written) {
        return file->buffer + (size_t)(i - file->written) * file->width;
    }
    bool in_page = i >= file->page_first && i - file->page_first < file->page_count;
    return in_page ? file->page + (size_t)(i - file->page_first) * file->width : NULL;
}

enum pl_err pl_entry_read(struct pl_entry_reader *reader, uint32_t i, uint32_t some, uint8_t *to) {
    const struct pl_entry_file *file = reader->file;
    uint32_t on_disk = 0;
    if (i < file->written) {
        on_disk = file->written - i < some ? file->written - i : some;
        const uint8_t *known = on_disk == 1 ? entry_in_memory(file, i) : NULL;
        if (known != NULL) {
            memcpy(to, known, file->width);
        } else {
            enum pl_err err = read_written(reader, i, on_disk, to);
            if (err != PL_OK) {
                return err;
            }
        }
    }
    if (on_disk < some) {
        memcpy(to + (size_t)on_disk * file->width,
               file->buffer + (size_t)(i + on_disk - file->written) * file->width,
               (size_t)(some - on_disk) * file->width);
    }
    return PL_OK;
}

/* ---- searching ---- */

struct span { /* the answer is in low … high */
    uint32_t low, high;
    bool (*before)(const uint8_t *entry, int64_t argument);
    int64_t argument;
};

static void look_at(struct span *span, const uint8_t *entry, uint32_t i) {
    if (span->before(entry, span->argument)) {
        span->low = i + 1;
    } else {
        span->high = i;
    }
}

/* As far as the page tells: its ends leave the answer in it, in front of it or behind it. */
static void narrow_by_page(struct span *span, const struct pl_entry_file *file) {
    uint32_t first = file->page_first, last = first + file->page_count - 1;
    if (file->page_count == 0) {
        return;
    }
    if (first >= span->low && first < span->high) {
        look_at(span, entry_in_memory(file, first), first);
    }
    if (last >= span->low && last < span->high) {
        look_at(span, entry_in_memory(file, last), last);
    }
}

/* The page around entry i of the file. */
static enum pl_err load_page(struct pl_entry_reader *reader, struct pl_entry_file *file,
                             uint32_t i) {
    if (file->page == NULL) {
        file->page = malloc(PL_ENTRY_PAGE_BYTES);
        if (file->page == NULL) {
            return PL_ERR_MEMORY;
        }
    }
    uint32_t entries = PL_ENTRY_PAGE_BYTES / file->width, first = i / entries * entries;
    uint32_t count = file->written - first < entries ? file->written - first : entries;
    file->page_count = 0;
    enum pl_err err = read_written(reader, first, count, file->page);
    if (err == PL_OK) {
        file->page_first = first;
        file->page_count = count;
    }
    return err;
}

enum pl_err pl_entry_search(struct pl_entry_file *file, struct pl_entry_reader *reader,
                            bool (*before)(const uint8_t *entry, int64_t argument),
                            int64_t argument, uint32_t *count) {
    struct span span = {0, pl_entry_file_count(file), before, argument};
    if (file->pending > 0) { /* tells without a read on which side the answer lies */
        look_at(&span, entry_in_memory(file, file->written), file->written);
    }
    narrow_by_page(&span, file);
    while (span.low < span.high) {
        uint32_t middle = span.low + (span.high - span.low) / 2;
        const uint8_t *entry = entry_in_memory(file, middle);
        if (entry != NULL) {
            look_at(&span, entry, middle);
            continue;
        }
        enum pl_err err = load_page(reader, file, middle);
        if (err != PL_OK) {
            return err;
        }
        narrow_by_page(&span, file);
    }
    *count = span.low;
    return PL_OK;
}
