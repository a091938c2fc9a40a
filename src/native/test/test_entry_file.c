/* Index entries: in the file, in the page that a search keeps, and in memory. */
#include <unistd.h>

#include "base/bytes.h"
#include "check.h"
#include "log/entry_file.h"

enum { WIDTH = 8, IN_FILE = 2000, IN_MEMORY = 30 };

static char path[64];
static int reads;

static enum pl_err counted_read(void *context, int fd, void *to, size_t n, uint64_t at,
                                size_t *got) {
    reads++;
    return pl_fs_real.read_at(context, fd, to, n, at, got);
}

static struct pl_fs counting_fs(void) {
    struct pl_fs fs = pl_fs_real;
    fs.read_at = counted_read;
    return fs;
}

/* Entry i has the key `factor` * i. */
static void add(struct pl_entry_file *file, uint32_t count, uint32_t factor) {
    for (uint32_t n = 0; n < count; n++) {
        uint8_t entry[WIDTH] = {0};
        pl_put_u32(entry, factor * pl_entry_file_count(file));
        CHECK_OK(pl_entry_file_reserve(file));
        pl_entry_file_add(file, entry);
    }
}

static void open_file(struct pl_entry_file *file, const struct pl_fs *fs) {
    bool created;
    strcpy(path, "/tmp/pylog-entries-XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_OK(close(fd));
    pl_entry_file_init(file, WIDTH);
    add(file, IN_FILE, 10);
    CHECK_OK(pl_entry_file_spill(file, fs, path, pl_entry_file_count(file), &created));
    add(file, IN_MEMORY, 10);
}

static void close_file(struct pl_entry_file *file) {
    pl_entry_file_free(file);
    CHECK_OK(unlink(path));
}

static bool below(const uint8_t *entry, int64_t key) {
    return pl_get_u32(entry) < key;
}

static uint32_t count_below(struct pl_entry_file *file, const struct pl_fs *fs, int64_t key) {
    struct pl_entry_reader reader;
    pl_entry_reader_open(&reader, file, fs, path);
    uint32_t count;
    CHECK_OK(pl_entry_search(file, &reader, below, key, &count));
    pl_entry_reader_close(&reader);
    return count;
}

static void every_key_is_found_in_any_order(void) {
    const struct pl_fs fs = counting_fs();
    struct pl_entry_file file;
    open_file(&file, &fs);
    enum { ALL = IN_FILE + IN_MEMORY };
    for (uint32_t i = 0; i <= ALL; i++) {
        CHECK_EQ(count_below(&file, &fs, 10 * (int64_t)i), i);
        uint32_t far = i * 7919 % ALL;
        CHECK_EQ(count_below(&file, &fs, 10 * (int64_t)far + 1), far + 1);
    }
    close_file(&file);
}

static void a_search_near_the_last_one_reads_nothing(void) {
    const struct pl_fs fs = counting_fs();
    struct pl_entry_file file;
    open_file(&file, &fs);
    CHECK_EQ(count_below(&file, &fs, 10000), 1000);
    reads = 0;
    for (int64_t key = 10000; key < 10200; key += 10) {
        CHECK_EQ(count_below(&file, &fs, key), key / 10);
    }
    CHECK_EQ(reads, 0);
    CHECK_EQ(count_below(&file, &fs, 10 * (IN_FILE + 5)), IN_FILE + 5);
    CHECK_EQ(reads, 0); /* in memory */
    close_file(&file);
}

static void what_was_cut_off_is_not_remembered(void) {
    const struct pl_fs fs = counting_fs();
    struct pl_entry_file file;
    bool created;
    open_file(&file, &fs);
    CHECK_EQ(count_below(&file, &fs, 6000), 600);
    CHECK_OK(pl_entry_file_cut(&file, &fs, path, 550));
    add(&file, 100, 20);
    CHECK_OK(pl_entry_file_spill(&file, &fs, path, UINT32_MAX, &created));
    CHECK_EQ(count_below(&file, &fs, 20 * 600), 600);
    pl_entry_file_clear(&file);
    add(&file, 1000, 30);
    CHECK_OK(pl_entry_file_spill(&file, &fs, path, UINT32_MAX, &created));
    CHECK_EQ(count_below(&file, &fs, 30 * 600), 600);
    close_file(&file);
}

int main(void) {
    RUN(every_key_is_found_in_any_order);
    RUN(a_search_near_the_last_one_reads_nothing);
    RUN(what_was_cut_off_is_not_remembered);
    return check_end();
}
