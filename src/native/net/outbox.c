#include "net/outbox.h"

#include <stdlib.h>
#include <string.h>

struct note { /* mail is the first member */
    struct pl_mail mail;
    struct pl_event event;
    uint8_t bytes[]; /* client id and data of a copied event */
};

enum pl_err pl_outbox_open(struct pl_outbox *outbox) {
    outbox->waiting = NULL;
    enum pl_err err = pl_mailbox_open(&outbox->mailbox);
    if (err == PL_OK && !pl_mailbox_arm(&outbox->mailbox)) {
        err = PL_ERR_BUSY; /* cannot be: nobody knows it yet */
    }
    return err;
}

static void drop(struct pl_mail *mail) {
    struct note *note = (struct note *)mail;
    void *storage = note->event.storage;
    if (storage != note) {
        free(note);
    }
    free(storage);
}

void pl_outbox_close(struct pl_outbox *outbox) {
    do {
        while (outbox->waiting != NULL) {
            struct pl_mail *mail = outbox->waiting;
            outbox->waiting = mail->next;
            drop(mail);
        }
        outbox->waiting = pl_mailbox_take(&outbox->mailbox);
    } while (outbox->waiting != NULL);
    pl_mailbox_close(&outbox->mailbox);
}

enum pl_err pl_outbox_send_copy(struct pl_outbox *outbox, const struct pl_event *event) {
    size_t id_length = event->client_id_length > 0 ? (size_t)event->client_id_length : 0;
    struct note *note = malloc(sizeof *note + id_length + event->length);
    if (note == NULL) {
        return PL_ERR_MEMORY;
    }
    note->event = *event;
    note->event.storage = note;
    if (id_length > 0) {
        memcpy(note->bytes, event->client_id, id_length);
        note->event.client_id = (const char *)note->bytes;
    }
    note->event.data = note->bytes + id_length;
    if (event->length > 0) {
        memcpy(note->bytes + id_length, event->data, event->length);
    }
    pl_mailbox_send(&outbox->mailbox, &note->mail);
    return PL_OK;
}

enum pl_err pl_outbox_send(struct pl_outbox *outbox, const struct pl_event *event) {
    struct note *note = malloc(sizeof *note);
    if (note == NULL) {
        free(event->storage);
        return PL_ERR_MEMORY;
    }
    note->event = *event;
    pl_mailbox_send(&outbox->mailbox, &note->mail);
    return PL_OK;
}

/* False when nothing waits; from then on a send makes the descriptor readable. */
static bool refill(struct pl_outbox *outbox) {
    pl_mailbox_disarm(&outbox->mailbox, true);
    do {
        outbox->waiting = pl_mailbox_take(&outbox->mailbox);
    } while (outbox->waiting == NULL && !pl_mailbox_arm(&outbox->mailbox));
    return outbox->waiting != NULL;
}

int pl_outbox_poll(struct pl_outbox *outbox, struct pl_event *events, int room) {
    int count = 0;
    while (count < room && (outbox->waiting != NULL || refill(outbox))) {
        struct note *note = (struct note *)outbox->waiting;
        outbox->waiting = note->mail.next;
        events[count++] = note->event;
        if (note->event.storage != note) {
            free(note);
        }
    }
    if (count == room) {
        pl_mailbox_ring(&outbox->mailbox); /* there may be more */
    }
    return count;
}
