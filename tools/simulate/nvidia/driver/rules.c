/* Faults of single functions: what they return, how long they take, and calls
 * that do not come back.
 *
 *   call.FUNCTION.return = CODE [xCOUNT]
 *   call.FUNCTION.latency_us = N [xCOUNT]
 *   call.FUNCTION.hang = true [xCOUNT]
 *
 * FUNCTION may be "*". Below "gpu.N." or "gpu.*." they hold for that GPU. The
 * more special rule wins, and with a count it holds for the first COUNT calls
 * of a process. */
#include "nvsim.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_US 20000

enum kind { RETURN, LATENCY, HANG };
enum scope { MACHINE = -1, EVERY_GPU = -2 }; /* or the number of a GPU */

/* How often a counted rule was used. It outlives the scenario it came from, so
 * that changing another line does not start the count again. */
struct use {
    struct use *next;
    char *rule;
    unsigned long long used;
    bool alive; /* in the scenario parsed last */
};

struct rule {
    int scope;
    int fn; /* -1: every function */
    enum kind kind;
    long long value;
    unsigned long long limit; /* 0: no end */
    struct use *use;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct use *uses; /* guarded by the lock; entries are never freed */

static struct use *find_use(int scope, const char *key, const char *value)
{
    char text[256];
    snprintf(text, sizeof text, "%d %s = %s", scope, key, value);
    for (struct use *u = uses; u; u = u->next) {
        if (strcmp(u->rule, text) == 0) {
            /* A rule that was taken away and came back counts from the start. */
            if (!u->alive) __atomic_store_n(&u->used, 0, __ATOMIC_RELAXED);
            return u;
        }
    }
    struct use *u = calloc(1, sizeof *u);
    if (u && !(u->rule = strdup(text))) {
        free(u);
        u = NULL;
    }
    if (u) {
        u->next = uses;
        uses = u;
    }
    return u;
}

static bool parse_rule(const char *key, const char *value, struct rule *r)
{
    static const char *const endings[] = {[RETURN] = ".return", [LATENCY] = ".latency_us", [HANG] = ".hang"};
    char first[32];
    size_t length = strlen(key);
    if (strncmp(key, "call.", 5) != 0) return false;
    for (int kind = RETURN; kind <= HANG; kind++) {
        size_t ending = strlen(endings[kind]);
        if (length <= 5 + ending || strcmp(key + length - ending, endings[kind]) != 0) continue;
        r->kind = (enum kind)kind;
        r->fn = -2;
        size_t name = length - 5 - ending;
        if (name == 1 && key[5] == '*') r->fn = -1;
        for (int i = 0; i < FUNCTIONS; i++)
            if (strlen(function_names[i]) == name && strncmp(function_names[i], key + 5, name) == 0) r->fn = i;
        r->limit = 0;
        const char *times = strstr(value, " x");
        if (times) r->limit = strtoull(times + 2, NULL, 10);
        snprintf(first, sizeof first, "%.*s", (int)strcspn(value, " \t"), value);
        return r->fn != -2 && parse_number(first, &r->value) && (kind != HANG || r->value);
    }
    return false;
}

static void add_rules(struct scenario *s, int scope, const struct table *t)
{
    for (int i = 0; i < t->count; i++) {
        struct rule r = {.scope = scope};
        /* Of equal keys the last one holds. */
        if (i + 1 < t->count && strcmp(t->pairs[i].key, t->pairs[i + 1].key) == 0) continue;
        if (!parse_rule(t->pairs[i].key, t->pairs[i].value, &r)) continue;
        struct rule *rules = realloc(s->rules, (size_t)(s->rule_count + 1) * sizeof *rules);
        if (!rules) return;
        s->rules = rules;
        r.use = r.limit ? find_use(scope, t->pairs[i].key, t->pairs[i].value) : NULL;
        rules[s->rule_count++] = r;
    }
}

void rules_parse(struct scenario *s)
{
    pthread_mutex_lock(&lock);
    add_rules(s, MACHINE, &s->global);
    add_rules(s, EVERY_GPU, &s->every);
    for (int i = 0; i < MAX_GPUS; i++) add_rules(s, i, &s->gpus[i].own);
    for (struct use *u = uses; u; u = u->next) u->alive = false;
    for (int i = 0; i < s->rule_count; i++)
        if (s->rules[i].use) s->rules[i].use->alive = true;
    pthread_mutex_unlock(&lock);
}

void rules_free(struct scenario *s)
{
    free(s->rules);
}

/* "*" means the work of the driver, not the start and end of the library. */
static bool in_wildcard(enum function fn)
{
    return fn != FN_nvmlInit && fn != FN_nvmlInit_v2 && fn != FN_nvmlInitWithFlags && fn != FN_nvmlShutdown &&
           fn != FN_nvmlErrorString;
}

static bool spent(const struct rule *r)
{
    return r->use && __atomic_load_n(&r->use->used, __ATOMIC_RELAXED) >= r->limit;
}

/* The most special rule of a kind for a call; NULL: none. */
static const struct rule *best(const struct scenario *s, enum kind kind, enum function fn, int gpu, bool with_spent)
{
    const struct rule *found = NULL;
    int best_score = -1;
    for (int i = 0; i < s->rule_count; i++) {
        const struct rule *r = &s->rules[i];
        int score = r->fn >= 0 ? 1 : 0;
        if (r->kind != kind || (r->fn >= 0 ? r->fn != (int)fn : !in_wildcard(fn))) continue;
        if (r->scope == EVERY_GPU) score += 2;
        if (r->scope >= 0) score += 4;
        if ((r->scope == EVERY_GPU && gpu < 0) || (r->scope >= 0 && r->scope != gpu)) continue;
        if (score <= best_score || (!with_spent && spent(r))) continue;
        best_score = score;
        found = r;
    }
    return found;
}

/* The rule for this call, used up by one. */
static const struct rule *take(const struct scenario *s, enum kind kind, enum function fn, int gpu)
{
    const struct rule *r;
    while ((r = best(s, kind, fn, gpu, false))) {
        if (!r->use || __atomic_fetch_add(&r->use->used, 1, __ATOMIC_RELAXED) < r->limit) return r;
    }
    return NULL;
}

bool rule_return(const struct scenario *s, enum function fn, int gpu, nvmlReturn_t *out)
{
    const struct rule *r = take(s, RETURN, fn, gpu);
    if (!r) return false;
    *out = (nvmlReturn_t)r->value;
    return true;
}

struct scenario *rule_wait(struct scenario *s, enum function fn, int gpu)
{
    const struct rule *r;
    if (s->rule_count == 0) return s;
    if ((r = take(s, LATENCY, fn, gpu)) && r->value > 0) {
        unsigned long long us = (unsigned long long)r->value;
        scenario_release(s);
        sleep_us(us);
        if (!(s = scenario_acquire())) return NULL;
    }
    if (!take(s, HANG, fn, gpu)) return s;
    /* Until the rule is gone from the file; that its count is spent says only
     * that no further call will hang. */
    while (s && best(s, HANG, fn, gpu, true)) {
        scenario_release(s);
        sleep_us(POLL_US);
        s = scenario_acquire();
    }
    return s;
}
