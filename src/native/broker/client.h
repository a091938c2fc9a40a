/* Who is behind a connection: the user it has authenticated as, what that may do, and the client id of its last
 * request. Reactor thread only.
 */
#ifndef PYLOG_BROKER_CLIENT_H
#define PYLOG_BROKER_CLIENT_H

#include <stddef.h>

#include "base/err.h"
#include "broker/quota.h"

struct pl_client { /* owned by its connection; texts are never NULL */
    struct pl_quota_client name;
    char *user, *client_id; /* what of it was allocated */
    uint32_t subject;       /* see broker/access.h */
};

void pl_client_open(struct pl_client *client); /* nobody in particular: ANONYMOUS */
void pl_client_close(struct pl_client *client);
PL_MUST_CHECK enum pl_err pl_client_set_user(struct pl_client *client, const char *user,
                                             size_t length);
/* Costs nothing while the client id stays the same. */
PL_MUST_CHECK enum pl_err pl_client_set_id(struct pl_client *client, const char *client_id,
                                           size_t length);

#endif
