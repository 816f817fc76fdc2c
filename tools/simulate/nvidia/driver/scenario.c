/* Parsing of the scenario: "key = value" lines into tables that are searched by
 * name. A line that is not understood is skipped; the Go side is the one that
 * complains to people. */
#include "nvsim.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_GPU 0xFFFFFFFFu

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1])) *--end = '\0';
    return text;
}

static bool table_add(struct table *t, const char *key, const char *value, int line)
{
    if (t->count == t->capacity) {
        int capacity = t->capacity ? t->capacity * 2 : 16;
        struct pair *pairs = realloc(t->pairs, (size_t)capacity * sizeof *pairs);
        if (!pairs) return false;
        t->pairs = pairs;
        t->capacity = capacity;
    }
    t->pairs[t->count++] = (struct pair){key, value, line};
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : x->line - y->line;
}

static void table_sort(struct table *t)
{
    if (t->count > 1) qsort(t->pairs, (size_t)t->count, sizeof *t->pairs, by_key);
}

/* The last of several equal keys wins, as in the text. */
static const char *table_find(const struct table *t, const char *key)
{
    int low = 0, high = t->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (strcmp(t->pairs[middle].key, key) <= 0) low = middle + 1;
        else high = middle;
    }
    if (low == 0 || strcmp(t->pairs[low - 1].key, key) != 0) return NULL;
    return t->pairs[low - 1].value;
}

/* Sorts a pair into the table of its GPU, of all GPUs, or of the machine. */
static bool place(struct scenario *s, char *key, const char *value, int line)
{
    if (strncmp(key, "gpu.*.", 6) == 0) return table_add(&s->every, key + 6, value, line);
    if (strncmp(key, "gpu.", 4) == 0) {
        char *end;
        unsigned long n = strtoul(key + 4, &end, 10);
        if (end == key + 4 || *end != '.' || n >= MAX_GPUS) return true;
        return table_add(&s->gpus[n].own, end + 1, value, line);
    }
    return table_add(&s->global, key, value, line);
}

static bool read_lines(struct scenario *s)
{
    int line = 0;
    for (char *next, *text = s->text; text; text = next) {
        next = strchr(text, '\n');
        if (next) *next++ = '\0';
        line++;
        char *key = trim(text);
        char *equals = strchr(key, '=');
        if (*key == '#' || !equals) continue;
        *equals = '\0';
        char *value = equals + 1;
        char *comment = strstr(value, " #");
        if (comment) *comment = '\0';
        key = trim(key);
        if (*key && !place(s, key, trim(value), line)) return false;
    }
    return true;
}

bool parse_number(const char *text, long long *out)
{
    static const struct { const char *unit; long long factor; } units[] = {
        {"", 1}, {"KiB", 1LL << 10}, {"MiB", 1LL << 20}, {"GiB", 1LL << 30},
    };
    char *end;
    if (strcmp(text, "true") == 0) return *out = 1, true;
    if (strcmp(text, "false") == 0) return *out = 0, true;
    bool negative = *text == '-';
    unsigned long long n = strtoull(negative ? text + 1 : text, &end, 0);
    if (end == text || (negative && end == text + 1)) return false;
    while (isspace((unsigned char)*end)) end++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) == 0) {
            n *= (unsigned long long)units[i].factor;
            *out = (long long)(negative ? 0 - n : n);
            return true;
        }
    }
    return false;
}

bool word_of(const char *text, const char *name, long long *out)
{
    size_t length = strlen(name);
    while (text && *text) {
        while (isspace((unsigned char)*text)) text++;
        size_t word = strcspn(text, " \t");
        if (word > length + 1 && strncmp(text, name, length) == 0 && text[length] == '=') {
            char value[64];
            size_t n = word - length - 1;
            if (n >= sizeof value) return false;
            memcpy(value, text + length + 1, n);
            value[n] = '\0';
            return parse_number(value, out);
        }
        text += word;
    }
    return false;
}

const char *text_of(const struct scenario *s, int gpu, const char *key)
{
    const char *value = NULL;
    if (gpu < 0) {
        value = table_find(&s->global, key);
    } else {
        value = table_find(&s->gpus[gpu].own, key);
        if (!value) value = table_find(&s->every, key);
    }
    return value && strcmp(value, "unsupported") == 0 ? NULL : value;
}

bool number_of(const struct scenario *s, int gpu, const char *key, long long *out)
{
    const char *value = text_of(s, gpu, key);
    return value && parse_number(value, out);
}

bool real_of(const struct scenario *s, int gpu, const char *key, double *out)
{
    const char *value = text_of(s, gpu, key);
    if (!value) return false;
    char *end;
    *out = strtod(value, &end);
    return end != value && *end == '\0';
}

bool truth_of(const struct scenario *s, int gpu, const char *key, bool otherwise)
{
    long long n;
    return number_of(s, gpu, key, &n) ? n != 0 : otherwise;
}

static const struct { const char *name; unsigned long long type; } event_types[] = {
    {"xid", nvmlEventTypeXidCriticalError},
    {"ecc-single", nvmlEventTypeSingleBitEccError},
    {"ecc-double", nvmlEventTypeDoubleBitEccError},
    {"pstate", nvmlEventTypePState},
    {"clock", nvmlEventTypeClock},
    {"mig", nvmlEventMigConfigChange},
    {"ecc-storm", nvmlEventTypeSingleBitEccErrorStorm},
    {"retirement", nvmlEventTypeDramRetirementEvent},
    {"retirement-failure", nvmlEventTypeDramRetirementFailure},
    {"poison", nvmlEventTypeNonFatalPoisonError},
    {"poison-fatal", nvmlEventTypeFatalPoisonError},
    {"unavailable", nvmlEventTypeGpuUnavailableError},
    {"recovery-action", nvmlEventTypeGpuRecoveryAction},
};

/* "gpu.0 xid 79 gi=1 ci=0", "gpu.3 recovery-action", "gpu.0 type=0x100". */
static bool parse_event(const char *text, struct event *e)
{
    unsigned gpu;
    char name[32] = "";
    int used = 0;
    e->gi = e->ci = WHOLE_GPU;
    e->data = 0;
    if (sscanf(text, "gpu.%u %31s%n", &gpu, name, &used) != 2 || gpu >= MAX_GPUS) return false;
    e->gpu = (int)gpu;
    long long n;
    if (word_of(text, "gi", &n)) e->gi = (unsigned)n;
    if (word_of(text, "ci", &n)) e->ci = (unsigned)n;
    if (word_of(text, "type", &n)) {
        e->type = (unsigned long long)n;
        if (word_of(text, "data", &n)) e->data = (unsigned long long)n;
        return true;
    }
    for (size_t i = 0; i < sizeof event_types / sizeof *event_types; i++) {
        if (strcmp(name, event_types[i].name) == 0) {
            e->type = event_types[i].type;
            if (e->type == nvmlEventTypeXidCriticalError) e->data = strtoull(text + used, NULL, 10);
            return true;
        }
    }
    return false;
}

static int by_sequence(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static void read_events(struct scenario *s)
{
    int count = 0;
    for (int i = 0; i < s->global.count; i++) count += strncmp(s->global.pairs[i].key, "event.", 6) == 0;
    if (count == 0 || !(s->events = calloc((size_t)count, sizeof *s->events))) return;
    for (int i = 0; i < s->global.count; i++) {
        const struct pair *p = &s->global.pairs[i];
        struct event *e = &s->events[s->event_count];
        if (strncmp(p->key, "event.", 6) != 0) continue;
        e->sequence = strtoull(p->key + 6, NULL, 10);
        if (parse_event(p->value, e)) s->event_count++;
    }
    qsort(s->events, (size_t)s->event_count, sizeof *s->events, by_sequence);
}

static void read_slots(const struct scenario *s, int gpu, struct gpu *g)
{
    for (int i = 0; i < MAX_MIGS; i++) {
        char key[40];
        long long n;
        struct slot *slot = &g->slots[i];
        snprintf(key, sizeof key, "mig.%d.profile", i);
        slot->profile = text_of(s, gpu, key);
        slot->used = slot->profile != NULL;
        /* A machine edited by hand need not name the instances. */
        slot->gi = (unsigned)i + 1;
        slot->ci = 0;
        snprintf(key, sizeof key, "mig.%d.gi", i);
        if (number_of(s, gpu, key, &n)) slot->gi = (unsigned)n;
        snprintf(key, sizeof key, "mig.%d.ci", i);
        if (number_of(s, gpu, key, &n)) slot->ci = (unsigned)n;
    }
}

static void read_gpus(struct scenario *s)
{
    for (int i = 0; i < MAX_GPUS; i++) {
        struct gpu *g = &s->gpus[i];
        g->defined = table_find(&g->own, "uuid") != NULL;
        if (!g->defined) continue;
        g->present = truth_of(s, i, "present", true);
        g->lost = truth_of(s, i, "lost", false);
        g->mig = truth_of(s, i, "mig.mode", false);
        if (g->mig) read_slots(s, i, g);
        if (g->present) {
            g->index = s->count;
            s->order[s->count++] = i;
        }
    }
}

struct scenario *scenario_parse(char *text)
{
    struct scenario *s = calloc(1, sizeof *s);
    if (!s) {
        free(text);
        return NULL;
    }
    s->text = text;
    if (!read_lines(s)) {
        scenario_free(s);
        return NULL;
    }
    table_sort(&s->global);
    table_sort(&s->every);
    for (int i = 0; i < MAX_GPUS; i++) table_sort(&s->gpus[i].own);
    s->loaded = truth_of(s, -1, "driver.loaded", true) && text_of(s, -1, "driver.version");
    read_gpus(s);
    read_events(s);
    rules_parse(s);
    return s;
}

void scenario_free(struct scenario *s)
{
    rules_free(s);
    free(s->events);
    free(s->global.pairs);
    free(s->every.pairs);
    for (int i = 0; i < MAX_GPUS; i++) free(s->gpus[i].own.pairs);
    free(s->text);
    free(s);
}
