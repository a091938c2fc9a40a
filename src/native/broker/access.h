/* Who may write to and read from which topics: what the fast lane knows of access control.
 *
 * The control plane evaluates the rules for each subject, that is a user at an address, and pushes
 * what comes out of it by topic. Subject 0 may do everything: access is not controlled.
 * Reactor thread only.
 */
#ifndef PYLOG_BROKER_ACCESS_H
#define PYLOG_BROKER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pylog/engine.h"

struct pl_access;

PL_MUST_CHECK enum pl_err pl_access_create(struct pl_access **access);
void pl_access_destroy(struct pl_access *access);

/* What a subject may do to topics that no grant names; `replace` forgets earlier grants. */
PL_MUST_CHECK enum pl_err pl_access_open(struct pl_access *access, uint32_t subject,
                                         uint8_t otherwise, bool replace);
/* Adds a grant to an opened subject, or changes it. */
PL_MUST_CHECK enum pl_err pl_access_grant(struct pl_access *access, uint32_t subject,
                                          const char *topic, size_t length, uint8_t bits);
/* A subject that was never opened may do nothing. */
bool pl_access_allows(const struct pl_access *access, uint32_t subject, enum pl_access_bit bit,
                      const void *topic, size_t length);

#endif
