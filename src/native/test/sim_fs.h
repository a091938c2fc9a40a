/* A file system that fails on purpose, over real files in a temporary folder (reads go by
 * descriptor, so the files must be real).
 *
 * It keeps apart what has been written and what would survive a power cut: the content of a file
 * as of its last flush, the names of a folder as of its last flush_directory. A power cut keeps
 * all of that; of the rest a part chosen at random: a prefix of the changes of names, and of
 * each file the old content, the new one, or a mixture in blocks, with any size in between.
 *
 * One call, counted from the start, may be made to fail. Not thread safe.
 */
#ifndef PYLOG_TEST_SIM_FS_H
#define PYLOG_TEST_SIM_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fs.h"

enum sim_fault {
    SIM_NONE,
    SIM_POWER,    /* the call and all later ones fail; a write gets a part done */
    SIM_IO,       /* the call fails with PL_ERR_IO; a failed flush never makes up for it later */
    SIM_NO_SPACE, /* the call fails with PL_ERR_NO_SPACE, if it is one that takes space */
};

struct sim_fs;

/* Nothing but what goes through `fs` may change the files below root, which exists and is empty. */
struct sim_fs *sim_fs_create(const char *root, uint64_t seed);
void sim_fs_destroy(struct sim_fs *sim);
const struct pl_fs *sim_fs_table(const struct sim_fs *sim);

/* The call number `at` (from 1, counted since the last sim_fs_fail) fails. */
void sim_fs_fail(struct sim_fs *sim, enum sim_fault fault, uint64_t at);
uint64_t sim_fs_calls(const struct sim_fs *sim);
bool sim_fs_has_failed(const struct sim_fs *sim);

/* From now on every call fails and does nothing: whoever has things open can let go of them. */
void sim_fs_stop(struct sim_fs *sim);
/* The process ends: its descriptors are closed, everything that was written stays. */
void sim_fs_kill(struct sim_fs *sim);
/* The machine ends: see above. */
void sim_fs_power_cut(struct sim_fs *sim);

#endif
