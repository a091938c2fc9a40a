/* A file of entries of one width, in order: what the offset, time and transaction index have in
 * common. The newest entries wait in memory and go to the file some hundred at a time; the file
 * is never longer than its entries, so Kafka's tools take it as it is.
 *
 * Reading the file opens it for that time only: no descriptor is kept. A search keeps the page of
 * the file in which it ended: a reader that goes on from there finds its place without a read.
 */
#ifndef PYLOG_LOG_ENTRY_FILE_H
#define PYLOG_LOG_ENTRY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fs.h"

enum { PL_ENTRY_MAX_WIDTH = 40, PL_ENTRIES_BUFFERED = 512, PL_ENTRY_PAGE_BYTES = 4096 };

struct pl_entry_file { /* owned by its segment */
    uint32_t width;    /* bytes of an entry */
    uint32_t written;  /* entries in the file */
    uint32_t pending;  /* entries in memory, after those of the file */
    uint32_t room;     /* of the buffer, in entries */
    uint8_t *buffer;   /* owned; NULL until the first entry */
    bool torn;         /* a failed write may have left bytes after the `written` entries */
    uint8_t *page;     /* owned; NULL until the first search in the file */
    uint32_t page_first, page_count; /* the entries in it */
};

void pl_entry_file_init(struct pl_entry_file *file, uint32_t width);
void pl_entry_file_free(struct pl_entry_file *file);

/* Takes over what the file at `path` holds; none: no entries, *found false. PL_ERR_CORRUPT when
 * its size is no multiple of the width. */
PL_MUST_CHECK enum pl_err pl_entry_file_load(struct pl_entry_file *file, const struct pl_fs *fs,
                                             const char *path, bool *found);
static inline uint32_t pl_entry_file_count(const struct pl_entry_file *file) {
    return file->written + file->pending;
}
/* Room for one more: the add that follows cannot fail. */
PL_MUST_CHECK enum pl_err pl_entry_file_reserve(struct pl_entry_file *file);
void pl_entry_file_add(struct pl_entry_file *file, const uint8_t *entry);
static inline bool pl_entry_file_full(const struct pl_entry_file *file) {
    return file->pending >= PL_ENTRIES_BUFFERED;
}
/* Writes what waits in memory, as far as it is among the first `count` entries. On an error it
 * stays there. *created: the file is new. */
PL_MUST_CHECK enum pl_err pl_entry_file_spill(struct pl_entry_file *file, const struct pl_fs *fs,
                                              const char *path, uint32_t count, bool *created);
/* Forgets entries from `count` on. */
PL_MUST_CHECK enum pl_err pl_entry_file_cut(struct pl_entry_file *file, const struct pl_fs *fs,
                                            const char *path, uint32_t count);
/* Forgets all entries; the file is the caller's to remove. */
void pl_entry_file_clear(struct pl_entry_file *file);
/* Forgets entries that are in memory only, from `count` on. */
void pl_entry_file_forget(struct pl_entry_file *file, uint32_t count);

struct pl_entry_reader { /* on the caller's stack */
    const struct pl_entry_file *file;
    const struct pl_fs *fs;
    const char *path;
    int fd; /* -1: not needed so far */
};
void pl_entry_reader_open(struct pl_entry_reader *reader, const struct pl_entry_file *file,
                          const struct pl_fs *fs, const char *path);
void pl_entry_reader_close(struct pl_entry_reader *reader);
/* `to` has room for `some` entries; some > 0 and i + some <= count. */
PL_MUST_CHECK enum pl_err pl_entry_read(struct pl_entry_reader *reader, uint32_t i, uint32_t some,
                                        uint8_t *to);

/* How many entries come before the first one that `before` denies, when it holds for a prefix
 * of them (binary search, by pages in the file). `reader` is one of this file. */
PL_MUST_CHECK enum pl_err pl_entry_search(struct pl_entry_file *file,
                                          struct pl_entry_reader *reader,
                                          bool (*before)(const uint8_t *entry, int64_t argument),
                                          int64_t argument, uint32_t *count);

#endif
