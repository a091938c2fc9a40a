/* One whole frame of a connection: whether it may be sent, whether its transactions have begun,
 * and the lane that answers it. */
#ifndef PYLOG_NET_CONN_REQUEST_H
#define PYLOG_NET_CONN_REQUEST_H

#include "net/conn.h"

/* Takes the frame, which lies in `memory`; its reply is owed from here on. A connection is refused
 * that sends a malformed one. False when it is to be taken later: it waits for the transaction
 * coordinator. */
bool pl_conn_take_frame(struct pl_conn *conn, struct pl_buf *memory, uint8_t *frame,
                        size_t length);

#endif
