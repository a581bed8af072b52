/*
 * test_server_routes.c - the tables of routes: each says who may use it, how large its body may be, and what it is for;
 * none is at a door where it does not belong; the checks of bodies by schema.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "api.h"
#include "http_head.h"


static void each(void (*check)(const struct gws_route *r))
{
    for (const struct gws_route *const *table = gws_routes; *table != NULL; table++)
        for (const struct gws_route *r = *table; r->method != NULL; r++)
            check(r);
}

static void check_whole(const struct gws_route *r)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    bool known = false;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        known |= strcmp(methods[i], r->method) == 0;
    assert_true(known);
    assert_non_null(r->run);
    assert_true(r->summary != NULL && strlen(r->summary) > 5);
    assert_true(r->pattern[0] == '/' && strstr(r->pattern, "..") == NULL);
    assert_in_range(r->body_max, 0, 4u << 20);
    if (strcmp(r->method, "GET") == 0 || strcmp(r->method, "DELETE") == 0)
        assert_int_equal(r->body_max, 0);
}

static void test_whole(void **state)
{
    (void)state;
    each(check_whole);
}

/* Administration is at its own door alone, and says who may use it; only health is for anybody. */
static void check_role(const struct gws_route *r)
{
    bool anybody = strcmp(r->pattern, "/healthz") == 0 || strcmp(r->pattern, "/readyz") == 0;
    if ((r->doors & GWS_DOOR_ADMIN) == 0) {
        assert_true(strncmp(r->pattern, "/device/", 8) == 0 || strncmp(r->pattern, "/payloads/", 10) == 0);
        assert_int_equal(r->role, GWS_ROLE_NONE);
        return;
    }
    assert_int_equal(r->doors, GWS_DOOR_ADMIN);
    assert_int_equal(r->role == GWS_ROLE_ANYBODY, anybody);
    assert_true(anybody || (r->role >= GWS_ROLE_VIEWER && r->role <= GWS_ROLE_ADMIN));
    if (strcmp(r->method, "GET") != 0 && strcmp(r->pattern, "/api/v1/rollouts/plan") != 0)
        assert_true(r->role > GWS_ROLE_VIEWER); /* what a viewer may ask changes nothing */
    if (strcmp(r->method, "DELETE") == 0)
        assert_int_equal(r->role, GWS_ROLE_ADMIN);
}

static void test_roles(void **state)
{
    (void)state;
    each(check_role);
}

static bool served_at(const struct gws_route *wanted, unsigned door)
{
    char store[GWS_PATH_MAX + 1 + GWS_ARGUMENTS_MAX];
    const char *argument[GWS_ARGUMENTS_MAX];
    for (const struct gws_route *const *table = gws_routes; *table != NULL; table++)
        for (const struct gws_route *r = *table; r->method != NULL; r++)
            if ((r->doors & door) != 0 && strcmp(r->method, wanted->method) == 0 &&
                gws_path_match(r->pattern, wanted->pattern, store, argument))
                return true;
    return false;
}

static void check_doors(const struct gws_route *r)
{
    for (unsigned door = GWS_DOOR_DEVICES; door <= GWS_DOOR_ADMIN; door <<= 1)
        assert_int_equal(served_at(r, door), (r->doors & door) != 0);
}

static void test_doors(void **state)
{
    (void)state;
    each(check_doors);
}

static unsigned same;
static const struct gws_route *one;
static void count_same(const struct gws_route *r)
{
    same += strcmp(r->method, one->method) == 0 && strcmp(r->pattern, one->pattern) == 0;
}

static void check_once(const struct gws_route *r)
{
    same = 0;
    one = r;
    each(count_same);
    assert_int_equal(same, 1);
}

static void test_once(void **state)
{
    (void)state;
    each(check_once);
}

static void check_described(const struct gws_route *r)
{
    if (strncmp(r->pattern, "/api/", 5) != 0)
        return;
    assert_int_equal(r->takes != NULL, r->body_max > 0);
    assert_int_equal(r->gives != NULL, r->status != 204);
}

static void test_described(void **state)
{
    (void)state;
    each(check_described);
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------ */

static const struct gws_field inner_fields[] = {
    {.name = "hex", GWS_HEX, GWS_REQUIRED, 2, 2},
    {.name = NULL},
};
static const struct gws_schema inner = {.name = "Inner", .fields = inner_fields};
static const struct gws_field outer_fields[] = {
    {.name = "text", GWS_TEXT, 0, 1, 4},
    {.name = "word", GWS_WORD, 0, .words = "one|two"},
    {.name = "base64", GWS_BASE64, 0, 1, 4},
    {.name = "number", GWS_NUMBER, 0, -1, 5},
    {.name = "yes", GWS_BOOL, 0},
    {.name = "list", GWS_LIST, 0, 1, 2, .of = &inner},
    {.name = "texts", GWS_TEXTS, 0, 0, 2},
    {.name = "inner", GWS_OBJECT, GWS_NULL, .of = &inner},
    {.name = NULL},
};
static const struct gws_schema outer = {.name = "Outer", .fields = outer_fields};

static void test_taken(void **state)
{
    static const char *const good[] = {
        "{}", "{\"text\":\"abcd\"}", "{\"word\":\"two\"}", "{\"base64\":\"QUJDRA==\"}", "{\"base64\":\"QUI=\"}",
        "{\"number\":-1}", "{\"yes\":false}", "{\"list\":[{\"hex\":\"00ff\"}]}", "{\"texts\":[]}", "{\"inner\":null}",
        "{\"inner\":{\"hex\":\"abcd\"}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct gwh_error err = {0};
        json_t *tree = json_loads(good[i], 0, NULL);
        assert_true(gws_schema_check(&outer, tree, &err));
        json_decref(tree);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{\"text\":\"abcde\"}", "text must be"},
        {"{\"text\":\"\"}", "text must be"},
        {"{\"text\":\"a\\u0000b\"}", "text must be"},
        {"{\"text\":null}", "text must be"},
        {"{\"word\":\"on\"}", "one of one|two"},
        {"{\"word\":\"one|two\"}", "one of one|two"},
        {"{\"word\":\"\"}", "one of one|two"},
        {"{\"base64\":\"QUJDREU=\"}", "base64"},
        {"{\"base64\":\"QU=J\"}", "base64"},
        {"{\"base64\":\"Q===\"}", "base64"},
        {"{\"base64\":\"QUI\"}", "base64"},
        {"{\"base64\":\"====\"}", "base64"},
        {"{\"base64\":\"\"}", "base64"},
        {"{\"number\":6}", "from -1 to 5"},
        {"{\"number\":1.0}", "whole number"},
        {"{\"number\":true}", "whole number"},
        {"{\"yes\":1}", "true or false"},
        {"{\"list\":[]}", "list must be"},
        {"{\"list\":[{\"hex\":\"00FF\"}]}", "list[0].hex must be"},
        {"{\"list\":[{\"hex\":\"0000\"},{}]}", "list[1]: \"hex\" is missing"},
        {"{\"list\":[{\"hex\":\"0000\"},{\"hex\":\"0000\",\"x\":1}]}", "\"list[1].x\" is not known"},
        {"{\"list\":[5]}", "list[0] must be an object"},
        {"{\"texts\":[\"a\",5]}", "texts[1] must be a text"},
        {"{\"texts\":[\"a\",\"b\",\"c\"]}", "texts must be"},
        {"{\"inner\":[]}", "inner must be an object"},
        {"{\"inner\":{\"hex\":\"0\"}}", "inner.hex must be"},
        {"{\"other\":1}", "\"other\" is not known"},
        {"[]", "the body must be an object"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gwh_error err = {0};
        json_t *tree = json_loads(bad[i].text, JSON_ALLOW_NUL, NULL);
        assert_non_null(tree);
        assert_false(gws_schema_check(&outer, tree, &err));
        assert_int_equal(err.exit, GWH_USAGE);
        if (strstr(err.text, bad[i].says) == NULL)
            fail_msg("%s: %s", bad[i].text, err.text);
        json_decref(tree);
    }
}

/* Names that are long and many: the sentence stays within its bounds. */
static void test_long_names(void **state)
{
    char name[3000];
    struct gwh_error err = {0};
    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    json_t *tree = json_pack("{s:[{s:i}]}", "list", name, 1);
    assert_false(gws_schema_check(&outer, tree, &err));
    json_decref(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_roles), cmocka_unit_test(test_doors),
        cmocka_unit_test(test_once),    cmocka_unit_test(test_described), cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
