#include "worker/mailbox.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum pl_err pl_mailbox_open(struct pl_mailbox *mailbox) {
    atomic_init(&mailbox->newest, NULL);
    atomic_init(&mailbox->armed, false);
    mailbox->left = NULL;
    mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return mailbox->fd < 0 ? pl_err_from_errno(errno) : PL_OK;
}

void pl_mailbox_close(struct pl_mailbox *mailbox) {
    close(mailbox->fd);
    mailbox->fd = -1;
}

void pl_mailbox_ring(const struct pl_mailbox *mailbox) {
    const uint64_t one = 1;
    /* Of an eventfd that is not full this cannot fail but by a signal. */
    while (write(mailbox->fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void pl_mailbox_send(struct pl_mailbox *mailbox, struct pl_mail *mail) {
    struct pl_mail *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak(&mailbox->newest, &newest, mail));
    if (atomic_load(&mailbox->armed) && atomic_exchange(&mailbox->armed, false)) {
        pl_mailbox_ring(mailbox);
    }
}

struct pl_mail *pl_mailbox_take(struct pl_mailbox *mailbox) {
    if (atomic_load_explicit(&mailbox->newest, memory_order_relaxed) == NULL) {
        return NULL;
    }
    struct pl_mail *newest =
        atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct pl_mail *oldest = NULL;
    while (newest != NULL) {
        struct pl_mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static int deliver_left(struct pl_mailbox *mailbox, int most) {
    int delivered = 0;
    while (mailbox->left != NULL && delivered < most) {
        struct pl_mail *mail = mailbox->left;
        mailbox->left = mail->next;
        mail->deliver(mail);
        delivered++;
    }
    return delivered;
}

/* What is sent meanwhile waits for the next delivery: this one has an end. */
int pl_mailbox_deliver_some(struct pl_mailbox *mailbox, int most) {
    int delivered = deliver_left(mailbox, most);
    if (delivered < most) {
        mailbox->left = pl_mailbox_take(mailbox);
        delivered += deliver_left(mailbox, most - delivered);
    }
    return delivered;
}

int pl_mailbox_deliver(struct pl_mailbox *mailbox) {
    return pl_mailbox_deliver_some(mailbox, INT_MAX);
}

bool pl_mailbox_arm(struct pl_mailbox *mailbox) {
    if (mailbox->left != NULL) {
        return false;
    }
    atomic_store(&mailbox->armed, true);
    if (atomic_load(&mailbox->newest) == NULL) {
        return true;
    }
    atomic_store(&mailbox->armed, false);
    return false;
}

void pl_mailbox_disarm(struct pl_mailbox *mailbox, bool rung) {
    atomic_store(&mailbox->armed, false);
    if (!rung) {
        return; /* a ring that comes late wakes the next sleep, for nothing */
    }
    uint64_t count = 0;
    while (read(mailbox->fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
}
