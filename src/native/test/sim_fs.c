#include "test/sim_fs.h"

#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include "test/check.h"

enum { MAX_NODES = 8192, MAX_CHANGES = 8192, MAX_FDS = 1024, NAME_BYTES = 300, BLOCK_BYTES = 512 };

struct content {
    uint8_t *bytes; /* owned */
    size_t size;
};

struct node { /* a file or a folder, whatever its name */
    bool is_folder, poisoned;
    struct node *parent; /* now; NULL: unlinked */
    char name[NAME_BYTES];
    struct node *durable_parent; /* after a power cut; NULL: not there */
    char durable_name[NAME_BYTES];
    struct content durable; /* as of the last flush */
    struct content last;    /* when it was unlinked */
};

struct change {          /* of names, not flushed yet: node goes to parent/name, or away (NULL) */
    struct node *folder; /* whose flush makes it durable */
    struct node *node, *parent;
    char name[NAME_BYTES];
};

struct sim_fs {
    struct pl_fs fs;
    char root[256];
    uint64_t seed;
    struct node *nodes[MAX_NODES]; /* owned; the first one is the root */
    int node_count;
    struct change changes[MAX_CHANGES];
    int change_count;
    struct node *open[MAX_FDS];
    enum sim_fault fault;
    uint64_t fail_at, calls;
    bool failed, dead;
};

/* ---- nodes ---- */

static struct node *add_node(struct sim_fs *sim, bool is_folder) {
    CHECK(sim->node_count < MAX_NODES);
    struct node *node = calloc(1, sizeof *node);
    CHECK(node != NULL);
    node->is_folder = is_folder;
    sim->nodes[sim->node_count++] = node;
    return node;
}

static struct node *child_of(const struct sim_fs *sim, const struct node *parent,
                             const char *name) {
    for (int i = 1; i < sim->node_count; i++) {
        if (sim->nodes[i]->parent == parent && strcmp(sim->nodes[i]->name, name) == 0) {
            return sim->nodes[i];
        }
    }
    return NULL;
}

struct place {           /* a path taken apart */
    struct node *parent; /* NULL: does not exist */
    struct node *node;   /* NULL: does not exist */
    char name[NAME_BYTES];
};

static struct place find(const struct sim_fs *sim, const char *path) {
    size_t root_length = strlen(sim->root);
    CHECK(strncmp(path, sim->root, root_length) == 0);
    struct place place = {.node = sim->nodes[0]};
    for (const char *at = path + root_length; *at == '/';) {
        const char *end = strchr(++at, '/');
        size_t n = end == NULL ? strlen(at) : (size_t)(end - at);
        CHECK(n > 0 && n < NAME_BYTES);
        memcpy(place.name, at, n);
        place.name[n] = 0;
        place.parent = place.node;
        place.node = place.parent == NULL ? NULL : child_of(sim, place.parent, place.name);
        at += n;
    }
    return place;
}

static void path_of(const struct sim_fs *sim, const struct node *node, char *path, size_t room) {
    if (node == sim->nodes[0]) {
        snprintf(path, room, "%s", sim->root);
        return;
    }
    path_of(sim, node->parent, path, room);
    size_t n = strlen(path);
    snprintf(path + n, room - n, "/%s", node->name);
}

static struct content read_content(const char *path) {
    int fd;
    uint64_t size;
    struct content content = {0};
    CHECK_OK(pl_fs_real.open(NULL, path, PL_OPEN_READ, &fd));
    CHECK_OK(pl_fs_real.size(NULL, fd, &size));
    content.bytes = malloc((size_t)size + 1);
    CHECK(content.bytes != NULL);
    CHECK_OK(pl_fs_real.read_at(NULL, fd, content.bytes, (size_t)size, 0, &content.size));
    CHECK_OK(pl_fs_real.close(NULL, fd));
    return content;
}

static void set_content(struct content *content, struct content to) {
    free(content->bytes);
    *content = to;
}

static void keep_last(struct sim_fs *sim, struct node *node) {
    char path[2048];
    path_of(sim, node, path, sizeof path);
    set_content(&node->last, read_content(path));
}

static void move(struct sim_fs *sim, struct node *folder, struct node *node, struct node *parent,
                 const char *name) {
    CHECK(sim->change_count < MAX_CHANGES);
    struct change *change = &sim->changes[sim->change_count++];
    *change = (struct change){.folder = folder, .node = node, .parent = parent};
    snprintf(change->name, sizeof change->name, "%s", name);
    node->parent = parent;
    snprintf(node->name, sizeof node->name, "%s", name);
}

static void make_durable(struct sim_fs *sim, const struct change *change) {
    struct node *node = change->node;
    for (int i = 1; change->parent != NULL && i < sim->node_count; i++) {
        struct node *other = sim->nodes[i]; /* a rename replaces */
        if (other != node && other->durable_parent == change->parent &&
            strcmp(other->durable_name, change->name) == 0) {
            other->durable_parent = NULL;
        }
    }
    node->durable_parent = change->parent;
    snprintf(node->durable_name, sizeof node->durable_name, "%s", change->name);
}

/* ---- faults ---- */

/* Whether this call fails, and how; a call that takes no space never lacks it. */
static enum sim_fault count_call(struct sim_fs *sim, bool takes_space) {
    sim->calls++;
    if (sim->dead) {
        return SIM_POWER;
    }
    if (sim->fault == SIM_NONE || sim->failed || sim->calls < sim->fail_at) {
        return SIM_NONE;
    }
    if (sim->fault == SIM_NO_SPACE && !takes_space) {
        return SIM_NONE; /* the next one that does */
    }
    sim->failed = true;
    sim->dead = sim->fault == SIM_POWER;
    return sim->fault;
}

static enum pl_err error_of(enum sim_fault fault) {
    return fault == SIM_NO_SPACE ? PL_ERR_NO_SPACE : PL_ERR_IO;
}

#define MAY_FAIL(sim, takes_space)                           \
    do {                                                     \
        enum sim_fault fault = count_call(sim, takes_space); \
        if (fault != SIM_NONE) {                             \
            return error_of(fault);                          \
        }                                                    \
    } while (0)

/* ---- the table ---- */

static enum pl_err sim_open(void *context, const char *path, enum pl_open_mode mode, int *fd) {
    struct sim_fs *sim = context;
    struct place place = find(sim, path);
    bool creates = place.node == NULL && mode != PL_OPEN_READ;
    MAY_FAIL(sim, creates);
    enum pl_err err = pl_fs_real.open(NULL, path, mode, fd);
    if (err != PL_OK) {
        return err;
    }
    CHECK(*fd < MAX_FDS);
    if (creates) {
        place.node = add_node(sim, false);
        move(sim, place.parent, place.node, place.parent, place.name);
    }
    sim->open[*fd] = place.node;
    return PL_OK;
}

static enum pl_err sim_close(void *context, int fd) {
    struct sim_fs *sim = context;
    if (sim->dead) {
        return PL_ERR_IO; /* the descriptors are closed by the restart */
    }
    sim->open[fd] = NULL;
    enum pl_err err = pl_fs_real.close(NULL, fd);
    MAY_FAIL(sim, false);
    return err;
}

static enum pl_err sim_read_at(void *context, int fd, void *to, size_t n, uint64_t at,
                               size_t *got) {
    MAY_FAIL(context, false);
    return pl_fs_real.read_at(NULL, fd, to, n, at, got);
}

static void write_part(struct sim_fs *sim, int fd, const struct iovec *iov, int count,
                       uint64_t at) {
    for (int i = 0; i < count; i++) {
        bool last = check_random(&sim->seed) % 4 == 0;
        struct iovec part = iov[i];
        if (last && part.iov_len > 0) {
            part.iov_len = (size_t)(check_random(&sim->seed) % part.iov_len);
        }
        CHECK_OK(pl_fs_real.write_at(NULL, fd, &part, 1, at));
        at += part.iov_len;
        if (last) {
            return;
        }
    }
}

static enum pl_err sim_write_at(void *context, int fd, const struct iovec *iov, int count,
                                uint64_t at) {
    struct sim_fs *sim = context;
    bool was_dead = sim->dead;
    enum sim_fault fault = count_call(sim, true);
    if (fault == SIM_NONE) {
        return pl_fs_real.write_at(NULL, fd, iov, count, at);
    }
    if (!was_dead) {
        write_part(sim, fd, iov, count, at);
    }
    return error_of(fault);
}

static enum pl_err sim_flush(void *context, int fd) {
    struct sim_fs *sim = context;
    struct node *node = sim->open[fd];
    enum sim_fault fault = count_call(sim, false);
    if (fault != SIM_NONE) {
        /* The system forgets that the pages are dirty: flushing again would be a lie. */
        node->poisoned = true;
        return error_of(fault);
    }
    if (!node->poisoned && node->parent != NULL) {
        char path[2048];
        path_of(sim, node, path, sizeof path);
        set_content(&node->durable, read_content(path));
    }
    return PL_OK;
}

static enum pl_err sim_flush_directory(void *context, const char *path) {
    struct sim_fs *sim = context;
    MAY_FAIL(sim, false);
    const struct node *folder = find(sim, path).node;
    if (folder == NULL) {
        return PL_ERR_NOT_FOUND;
    }
    int kept = 0;
    for (int i = 0; i < sim->change_count; i++) {
        if (sim->changes[i].folder == folder) {
            make_durable(sim, &sim->changes[i]);
        } else {
            sim->changes[kept++] = sim->changes[i];
        }
    }
    sim->change_count = kept;
    return PL_OK;
}

static enum pl_err sim_truncate(void *context, int fd, uint64_t size) {
    MAY_FAIL(context, false);
    return pl_fs_real.truncate(NULL, fd, size);
}

static enum pl_err sim_size(void *context, int fd, uint64_t *size) {
    MAY_FAIL(context, false);
    return pl_fs_real.size(NULL, fd, size);
}

static enum pl_err sim_rename(void *context, const char *from, const char *to) {
    struct sim_fs *sim = context;
    MAY_FAIL(sim, true);
    struct place source = find(sim, from), target = find(sim, to);
    if (target.node != NULL) {
        keep_last(sim, target.node);
    }
    enum pl_err err = pl_fs_real.rename(NULL, from, to);
    if (err != PL_OK) {
        return err;
    }
    if (target.node != NULL) {
        target.node->parent = NULL; /* the change below replaces it */
    }
    move(sim, source.parent, source.node, target.parent, target.name);
    return PL_OK;
}

static enum pl_err sim_unlink(void *context, const char *path) {
    struct sim_fs *sim = context;
    MAY_FAIL(sim, false);
    struct place place = find(sim, path);
    if (place.node == NULL) {
        return PL_ERR_NOT_FOUND;
    }
    keep_last(sim, place.node);
    enum pl_err err = pl_fs_real.unlink(NULL, path);
    if (err == PL_OK) {
        move(sim, place.parent, place.node, NULL, "");
    }
    return err;
}

static enum pl_err sim_make_directory(void *context, const char *path) {
    struct sim_fs *sim = context;
    struct place place = find(sim, path);
    MAY_FAIL(sim, place.node == NULL);
    enum pl_err err = pl_fs_real.make_directory(NULL, path);
    if (err == PL_OK) {
        struct node *node = add_node(sim, true);
        move(sim, place.parent, node, place.parent, place.name);
    }
    return err;
}

static enum pl_err sim_remove_directory(void *context, const char *path) {
    struct sim_fs *sim = context;
    MAY_FAIL(sim, false);
    struct place place = find(sim, path);
    enum pl_err err = pl_fs_real.remove_directory(NULL, path);
    if (err == PL_OK) {
        move(sim, place.parent, place.node, NULL, "");
    }
    return err;
}

static enum pl_err sim_list(void *context, const char *path,
                            enum pl_err (*each)(void *argument, const char *name), void *argument) {
    MAY_FAIL(context, false);
    return pl_fs_real.list(NULL, path, each, argument);
}

/* ---- create and destroy ---- */

struct sim_fs *sim_fs_create(const char *root, uint64_t seed) {
    struct sim_fs *sim = calloc(1, sizeof *sim);
    CHECK(sim != NULL);
    snprintf(sim->root, sizeof sim->root, "%s", root);
    sim->seed = seed;
    add_node(sim, true);
    sim->fs = (struct pl_fs){
        .context = sim,
        .open = sim_open,
        .close = sim_close,
        .read_at = sim_read_at,
        .write_at = sim_write_at,
        .flush = sim_flush,
        .flush_directory = sim_flush_directory,
        .truncate = sim_truncate,
        .size = sim_size,
        .rename = sim_rename,
        .unlink = sim_unlink,
        .make_directory = sim_make_directory,
        .remove_directory = sim_remove_directory,
        .list = sim_list,
    };
    return sim;
}

static void free_node(struct node *node) {
    free(node->durable.bytes);
    free(node->last.bytes);
    free(node);
}

void sim_fs_destroy(struct sim_fs *sim) {
    sim_fs_kill(sim);
    for (int i = 0; i < sim->node_count; i++) {
        free_node(sim->nodes[i]);
    }
    free(sim);
}

const struct pl_fs *sim_fs_table(const struct sim_fs *sim) {
    return &sim->fs;
}

void sim_fs_fail(struct sim_fs *sim, enum sim_fault fault, uint64_t at) {
    sim->fault = fault;
    sim->fail_at = at;
    sim->calls = 0;
    sim->failed = false;
}

uint64_t sim_fs_calls(const struct sim_fs *sim) {
    return sim->calls;
}

bool sim_fs_has_failed(const struct sim_fs *sim) {
    return sim->failed;
}

/* ---- ends ---- */

void sim_fs_stop(struct sim_fs *sim) {
    sim->dead = true;
}

void sim_fs_kill(struct sim_fs *sim) {
    for (int fd = 0; fd < MAX_FDS; fd++) {
        if (sim->open[fd] != NULL) {
            (void)close(fd);
        }
        sim->open[fd] = NULL;
    }
    sim->dead = false;
    sim_fs_fail(sim, SIM_NONE, 0);
}

static struct content content_now(struct sim_fs *sim, struct node *node) {
    if (node->parent == NULL) {
        struct content last = {malloc(node->last.size + 1), node->last.size};
        CHECK(last.bytes != NULL);
        if (last.size > 0) {
            memcpy(last.bytes, node->last.bytes, last.size);
        }
        return last;
    }
    char path[2048];
    path_of(sim, node, path, sizeof path);
    return read_content(path);
}

static uint8_t byte_at(const struct content *content, size_t i) {
    return i < content->size ? content->bytes[i] : 0;
}

/* Old and new blocks at random, and any size in between. */
static void mix(struct sim_fs *sim, const struct content *durable, struct content *now) {
    size_t low = durable->size < now->size ? durable->size : now->size;
    size_t high = durable->size > now->size ? durable->size : now->size;
    size_t size = low + (size_t)(check_random(&sim->seed) % (high - low + 1));
    uint8_t *bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    bool fresh = true;
    for (size_t i = 0; i < size; i++) {
        if (i % BLOCK_BYTES == 0) {
            fresh = check_random(&sim->seed) % 2 == 0;
        }
        bytes[i] = byte_at(fresh ? now : durable, i);
    }
    set_content(now, (struct content){bytes, size});
}

static void survive(struct sim_fs *sim, struct node *node) {
    struct content now = content_now(sim, node);
    switch (node->poisoned ? 0 : check_random(&sim->seed) % 3) {
    case 0:
        free(now.bytes); /* what was flushed, nothing else */
        return;
    case 1:
        break;
    default:
        mix(sim, &node->durable, &now);
    }
    set_content(&node->durable, now);
}

static int wipe_one(const char *path, const struct stat *found, int type, struct FTW *place) {
    (void)found, (void)type;
    return place->level == 0 ? 0 : remove(path);
}

static void write_children(struct sim_fs *sim, struct node *folder) {
    for (int i = 1; i < sim->node_count; i++) {
        struct node *node = sim->nodes[i];
        if (node->durable_parent != folder) {
            continue;
        }
        node->parent = folder;
        snprintf(node->name, sizeof node->name, "%s", node->durable_name);
        char path[2048];
        path_of(sim, node, path, sizeof path);
        if (node->is_folder) {
            CHECK_OK(pl_fs_real.make_directory(NULL, path));
            write_children(sim, node);
            continue;
        }
        int fd;
        struct iovec iov = {node->durable.bytes, node->durable.size};
        CHECK_OK(pl_fs_real.open(NULL, path, PL_OPEN_CREATE_NEW, &fd));
        CHECK_OK(pl_fs_real.write_at(NULL, fd, &iov, 1, 0));
        CHECK_OK(pl_fs_real.close(NULL, fd));
    }
}

void sim_fs_power_cut(struct sim_fs *sim) {
    for (int i = 1; i < sim->node_count; i++) {
        if (!sim->nodes[i]->is_folder) {
            survive(sim, sim->nodes[i]);
        }
    }
    uint64_t survived = check_random(&sim->seed) % ((uint64_t)sim->change_count + 1);
    for (int i = 0; i < (int)survived; i++) {
        make_durable(sim, &sim->changes[i]);
    }
    sim->change_count = 0;
    sim_fs_kill(sim);
    CHECK_EQ(nftw(sim->root, wipe_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    for (int i = 1; i < sim->node_count; i++) {
        sim->nodes[i]->parent = NULL;
        sim->nodes[i]->poisoned = false;
    }
    write_children(sim, sim->nodes[0]);
}
