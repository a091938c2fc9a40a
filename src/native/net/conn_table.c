#include "net/conn_table.h"

#include <stddef.h>
#include <stdlib.h>

struct pl_conn_entry {
    struct pl_conn *conn; /* NULL: free */
    uint32_t generation;  /* of the connection that is or was here */
    uint32_t next_free;   /* index + 1, 0: last */
};

static enum pl_err grow(struct pl_conn_table *table) {
    uint32_t size = table->size == 0 ? 64 : table->size * 2;
    struct pl_conn_entry *entries = realloc(table->entries, size * sizeof *entries);
    if (entries == NULL) {
        return PL_ERR_MEMORY;
    }
    for (uint32_t i = table->size; i < size; i++) {
        entries[i] = (struct pl_conn_entry){.next_free = i + 1 < size ? i + 2 : 0};
    }
    table->first_free = table->size + 1;
    table->entries = entries;
    table->size = size;
    return PL_OK;
}

enum pl_err pl_conn_table_add(struct pl_conn_table *table, struct pl_conn *conn,
                              uint64_t *handle) {
    if (table->first_free == 0) {
        enum pl_err err = grow(table);
        if (err != PL_OK) {
            return err;
        }
    }
    uint32_t index = table->first_free - 1;
    struct pl_conn_entry *entry = &table->entries[index];
    table->first_free = entry->next_free;
    table->count++;
    entry->conn = conn;
    entry->generation++;
    *handle = (uint64_t)entry->generation << 32 | index;
    return PL_OK;
}

static struct pl_conn_entry *entry_of(const struct pl_conn_table *table, uint64_t handle) {
    uint32_t index = (uint32_t)handle;
    if (index >= table->size || table->entries[index].generation != handle >> 32) {
        return NULL;
    }
    return &table->entries[index];
}

struct pl_conn *pl_conn_table_find(const struct pl_conn_table *table, uint64_t handle) {
    const struct pl_conn_entry *entry = entry_of(table, handle);
    return entry == NULL ? NULL : entry->conn;
}

void pl_conn_table_remove(struct pl_conn_table *table, uint64_t handle) {
    struct pl_conn_entry *entry = entry_of(table, handle);
    if (entry == NULL || entry->conn == NULL) {
        return;
    }
    entry->conn = NULL;
    entry->next_free = table->first_free;
    table->first_free = (uint32_t)handle + 1;
    table->count--;
}

void pl_conn_table_each(const struct pl_conn_table *table, void (*each)(struct pl_conn *conn)) {
    for (uint32_t i = 0; i < table->size; i++) {
        if (table->entries[i].conn != NULL) {
            each(table->entries[i].conn);
        }
    }
}

void pl_conn_table_free(struct pl_conn_table *table) {
    free(table->entries);
    *table = (struct pl_conn_table){0};
}
