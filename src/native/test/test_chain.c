#include "base/buf.h"
#include "base/limits.h"
#include "test/check.h"

static struct pl_pool *pool;

static void add_text(struct pl_chain *chain, const char *text) {
    struct pl_buf *buf = pl_buf_take(pool, strlen(text));
    memcpy(buf->bytes, text, strlen(text));
    pl_chain_add_buf(chain, buf, strlen(text));
}

static int released;

static void note_release(void *owner) {
    *(int *)owner += 1;
}

static void a_consumed_chain_goes_on_within_a_node(void) {
    struct pl_chain chain = {0};
    add_text(&chain, "hello ");
    add_text(&chain, "world");
    CHECK_EQ(chain.length, 11);
    pl_chain_consume(&chain, 8);
    CHECK_EQ(chain.length, 3);
    CHECK_BYTES(chain.first->data, "rld", 3);
    pl_chain_consume(&chain, 3);
    CHECK(chain.first == NULL && chain.last == NULL);
}

static void a_file_range_is_released_when_its_last_byte_is_consumed(void) {
    struct pl_chain chain = {0};
    released = 0;
    CHECK_OK(pl_chain_add_file(&chain, pool, 7, 100, 50, note_release, &released));
    pl_chain_consume(&chain, 49);
    CHECK_EQ(chain.first->position, 149);
    CHECK_EQ(released, 0);
    pl_chain_consume(&chain, 1);
    CHECK_EQ(released, 1);
}

static void what_is_dropped_or_empty_is_released_too(void) {
    struct pl_chain chain = {0};
    released = 0;
    CHECK_OK(pl_chain_add_file(&chain, pool, 7, 0, 0, note_release, &released));
    CHECK_EQ(released, 1);
    CHECK(chain.first == NULL);
    CHECK_OK(pl_chain_add_file(&chain, pool, 7, 0, 9, note_release, &released));
    add_text(&chain, "x");
    pl_chain_drop(&chain);
    CHECK_EQ(released, 2);
    CHECK_EQ(chain.length, 0);
}

static void joined_chains_keep_their_order(void) {
    struct pl_chain to = {0}, from = {0}, none = {0};
    pl_chain_join(&to, &none);
    add_text(&from, "b");
    pl_chain_join(&to, &from);
    add_text(&from, "c");
    pl_chain_join(&to, &from);
    CHECK(from.first == NULL);
    CHECK_EQ(to.length, 2);
    CHECK_EQ(to.first->data[0], 'b');
    CHECK_EQ(to.last->data[0], 'c');
    pl_chain_drop(&to);
}

static void a_buffer_comes_back_with_its_last_reference(void) {
    struct pl_buf *buf = pl_buf_take(pool, 1000);
    CHECK(buf->capacity >= 1000);
    size_t before = pl_pool_bytes(pool);
    pl_buf_retain(buf);
    pl_buf_give(buf);
    CHECK_EQ(pl_pool_bytes(pool), before);
    pl_buf_give(buf);
    CHECK(pl_pool_bytes(pool) > before);
    struct pl_buf *again = pl_buf_take(pool, 1000);
    CHECK(again == buf);
    pl_buf_give(again);
}

static void a_trim_frees_what_was_not_needed_since_the_last(void) {
    struct pl_buf *bufs[10];
    for (int i = 0; i < 10; i++) {
        bufs[i] = pl_buf_take(pool, 200 * 1024);
    }
    for (int i = 0; i < 10; i++) {
        pl_buf_give(bufs[i]);
    }
    pl_pool_trim(pool); /* all ten were in use since the last one */
    size_t kept = pl_pool_bytes(pool);
    CHECK(kept >= 10 * 200 * 1024);
    pl_buf_give(pl_buf_take(pool, 200 * 1024));
    pl_pool_trim(pool); /* nine were not */
    CHECK(pl_pool_bytes(pool) < kept / 5);
    pl_pool_trim(pool);
    CHECK_EQ(pl_pool_bytes(pool), 0);
}

static void the_pool_keeps_no_more_than_its_bound(void) {
    enum { BUFS = 100 };
    static struct pl_buf *bufs[BUFS];
    for (int i = 0; i < BUFS; i++) {
        bufs[i] = pl_buf_take(pool, 1000 * 1000);
    }
    for (int i = 0; i < BUFS; i++) {
        pl_buf_give(bufs[i]);
    }
    CHECK(pl_pool_bytes(pool) <= PL_MAX_POOLED_BYTES);
}

int main(void) {
    CHECK_OK(pl_pool_create(&pool));
    RUN(a_consumed_chain_goes_on_within_a_node);
    RUN(a_file_range_is_released_when_its_last_byte_is_consumed);
    RUN(what_is_dropped_or_empty_is_released_too);
    RUN(joined_chains_keep_their_order);
    RUN(a_buffer_comes_back_with_its_last_reference);
    RUN(a_trim_frees_what_was_not_needed_since_the_last);
    RUN(the_pool_keeps_no_more_than_its_bound);
    pl_pool_destroy(pool);
    return check_end();
}
