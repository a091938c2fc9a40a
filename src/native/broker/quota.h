/* Client quotas: how many bytes and how much time a user, a client id, or a pair of them may take.
 *
 * The rules are pushed by the control plane. A request finds the strongest rule that has a limit
 * of the kind in question (KIP-13, KIP-55, KIP-124):
 *
 *   user and client id · user and any client id · user ·
 *   any user and client id · any user and any client id · any user · client id · any client id
 *
 * and is charged to what that rule shares one limit among: the pair, the user or the client id.
 * The rate is taken over the present second and the ten before it. Above the limit the charge is
 * answered with the time after which the rate is back at the limit: the connection is muted for
 * so long (KIP-219).
 *
 * Connections are charged to an address (KIP-612) in the place of a client id: rules of addresses
 * have no other limit, and no others have this one.
 *
 * Any thread.
 */
#ifndef PYLOG_BROKER_QUOTA_H
#define PYLOG_BROKER_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pylog/engine.h"

struct pl_quotas;

struct pl_quota_client { /* texts that outlive the call, never NULL */
    const char *user, *client_id;
    uint32_t user_length, client_id_length;
};

PL_MUST_CHECK enum pl_err pl_quotas_create(struct pl_quotas **quotas);
void pl_quotas_destroy(struct pl_quotas *quotas);

/* Replaces all rules. What was used stays counted where the kind of sharing stays the same. */
PL_MUST_CHECK enum pl_err pl_quotas_replace(struct pl_quotas *quotas,
                                            const struct pl_quota_rule *rules, int32_t count);
/* Whether any rule limits this kind; else a charge need not be made. */
bool pl_quotas_limit(const struct pl_quotas *quotas, enum pl_quota_kind kind);
/* Adds bytes (or for REQUEST nanoseconds); returns how long to mute, in milliseconds, 0: not. */
int32_t pl_quotas_charge(struct pl_quotas *quotas, enum pl_quota_kind kind,
                         const struct pl_quota_client *client, uint64_t amount, uint64_t now_ns);
/* Takes a charge back: what it was made for is not given. */
void pl_quotas_refund(struct pl_quotas *quotas, enum pl_quota_kind kind,
                      const struct pl_quota_client *client, uint64_t amount, uint64_t now_ns);
/* The most that one charge may be: more would be above the limit however long the client waits.
 * UINT32_MAX when there is no limit. */
uint32_t pl_quotas_most_at_once(struct pl_quotas *quotas, enum pl_quota_kind kind,
                                const struct pl_quota_client *client);

#endif
