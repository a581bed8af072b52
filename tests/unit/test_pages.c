/*
 * test_pages.c - pages of long lists: what they hold, and that they do not look at all that there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resources.h"
#include "server_stubs.h"
#include "serverdb.h"

static struct t_server s;

static int start(void **state)
{
    (void)state;
    t_server_open(&s);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    t_server_close(&s);
    return 0;
}

static unsigned steps;
static int count_steps(void *ctx)
{
    (void)ctx;
    steps++;
    return 0;
}

/* How many devices a page has, and how many times ten operations of SQLite it took. */
static size_t page_of(const struct gws_device_query *q, const char *after)
{
    struct gwh_error err = {0};
    const struct gws_page page = {.limit = 10, .after = after};
    steps = 0;
    sqlite3_progress_handler(s.db, 10, count_steps, NULL);
    json_t *o = gws_devices_list(s.db, q, &page, &err);
    sqlite3_progress_handler(s.db, 0, NULL, NULL);
    assert_non_null(o);
    size_t n = json_array_size(json_object_get(o, "items"));
    json_decref(o);
    return n;
}

static void a_page_does_not_look_at_all_devices(void **state)
{
    char other[33] = "cccccccccccccccccccccccccccccccc";
    (void)state;
    t_server_sql(&s, "INSERT INTO class(id, vendor, name, created) VALUES(x'%s', 'v', 'n', 1)", other);
    t_server_sql(&s, "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 5000) INSERT INTO"
                     " device(id, class, created, origin) SELECT printf('d-%%04d', i), x'%s', 1, 'import' FROM k",
                 s.class_hex);
    t_server_sql(&s, "INSERT INTO tag(device, name) SELECT id, 'all' FROM device");
    t_server_sql(&s, "INSERT INTO tag(device, name) VALUES('d-4999', 'rare'), ('d-0002', 'rare')");
    t_server_sql(&s, "UPDATE device SET class = x'%s' WHERE id IN ('d-0003', 'd-4998')", other);
    const struct {
        struct gws_device_query q;
        const char *after;
        size_t n;
    } cases[] = {
        {{.tag = NULL}, NULL, 10},
        {{.tag = NULL}, "d-4995", 5},
        {{.tag = "rare"}, NULL, 2},
        {{.tag = "rare"}, "d-0002", 1},
        {{.tag = "none"}, NULL, 0},
        {{.tag = "all"}, "d-4000", 10},
        {{.class_id = other}, NULL, 2},
        {{.class_id = other}, "d-0003", 1},
        {{.class_id = other, .tag = "rare"}, NULL, 0},
        {{.class_id = s.class_hex, .tag = "rare"}, NULL, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(page_of(&cases[i].q, cases[i].after), cases[i].n);
        if (steps > 200) { /* to look at 5000 is 2500 and more */
            fail_msg("case %zu looked at too much: %u", i, steps);
        }
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(a_page_does_not_look_at_all_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
