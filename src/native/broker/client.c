#include "broker/client.h"

#include <stdlib.h>
#include <string.h>

static const char ANONYMOUS[] = "ANONYMOUS";

void pl_client_open(struct pl_client *client) {
    *client = (struct pl_client){.name = {.user = ANONYMOUS,
                                          .user_length = sizeof ANONYMOUS - 1,
                                          .client_id = ""}};
}

void pl_client_close(struct pl_client *client) {
    free(client->user);
    free(client->client_id);
    pl_client_open(client);
}

/* Replaces *owned by a copy of the text. */
static enum pl_err replace(char **owned, const char *text, size_t length) {
    char *copy = malloc(length + 1);
    if (copy == NULL) {
        return PL_ERR_MEMORY;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    free(*owned);
    *owned = copy;
    return PL_OK;
}

enum pl_err pl_client_set_user(struct pl_client *client, const char *user, size_t length) {
    enum pl_err err = replace(&client->user, user, length);
    if (err == PL_OK) {
        client->name.user = client->user;
        client->name.user_length = (uint32_t)length;
    }
    return err;
}

enum pl_err pl_client_set_id(struct pl_client *client, const char *client_id, size_t length) {
    if (length == client->name.client_id_length &&
        (length == 0 || memcmp(client_id, client->name.client_id, length) == 0)) {
        return PL_OK;
    }
    enum pl_err err = replace(&client->client_id, length == 0 ? "" : client_id, length);
    if (err == PL_OK) {
        client->name.client_id = client->client_id;
        client->name.client_id_length = (uint32_t)length;
    }
    return err;
}
