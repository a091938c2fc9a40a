/* Connections by handle: index and generation, so that a late reply never meets a stranger. */
#ifndef PYLOG_NET_CONN_TABLE_H
#define PYLOG_NET_CONN_TABLE_H

#include <stdint.h>

#include "base/err.h"

struct pl_conn;
struct pl_conn_entry;

struct pl_conn_table { /* owned by the reactor; zeroes are an empty table */
    struct pl_conn_entry *entries;
    uint32_t size, first_free; /* first_free: index + 1 */
    uint32_t count;
};

PL_MUST_CHECK enum pl_err pl_conn_table_add(struct pl_conn_table *table, struct pl_conn *conn,
                                            uint64_t *handle);
void pl_conn_table_remove(struct pl_conn_table *table, uint64_t handle);
struct pl_conn *pl_conn_table_find(const struct pl_conn_table *table, uint64_t handle);
void pl_conn_table_each(const struct pl_conn_table *table, void (*each)(struct pl_conn *conn));
void pl_conn_table_free(struct pl_conn_table *table);

#endif
