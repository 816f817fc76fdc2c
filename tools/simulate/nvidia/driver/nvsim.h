/* Shared declarations of the simulated NVML.
 *
 * The library answers from a text file, the scenario. A parsed scenario never
 * changes: when the file does, a new one is parsed and the old one is freed by
 * its last reader. A call holds a reference while it reads, and none while it
 * waits (latency, hang, events), so a call that never returns holds nothing. */
#ifndef NVSIM_H
#define NVSIM_H

#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>

#include <stdbool.h>
#include <stddef.h>

/* The header version of the simulated driver, for the few answers that depend
 * on it. What it exports is decided when it is linked. */
#ifndef NVSIM_API
#define NVSIM_API 9999
#endif

#define MAX_GPUS 512
/* Seven slices and one to spare: as many MIG devices as any GPU can hold. */
#define MAX_MIGS 8

enum function {
#define FUNCTION(name, since) FN_##name,
#include "functions.def"
#undef FUNCTION
    FUNCTIONS
};

extern const char *const function_names[FUNCTIONS];

/* ---- scenario.c: the parsed text ------------------------------------- */

struct pair {
    const char *key;
    const char *value;
    int line;
};

struct table {
    struct pair *pairs; /* sorted by key, then by line */
    int count;
    int capacity;
};

struct slot {
    bool used;
    const char *profile; /* "1g.10gb", "1c.3g.40gb" */
    unsigned gi, ci;
};

struct gpu {
    bool defined; /* has a uuid */
    bool present; /* defined and not taken out of the machine */
    bool lost;
    unsigned index; /* among the GPUs that are present */
    bool mig;       /* MIG mode is on */
    struct table own;
    struct slot slots[MAX_MIGS];
};

struct event {
    unsigned long long sequence;
    int gpu;
    unsigned long long type;
    unsigned long long data;
    unsigned gi, ci;
};

struct scenario {
    int references; /* guarded by the lock in watch.c */
    char *text;
    bool loaded; /* the driver is loaded */
    struct table global;
    struct table every; /* "gpu.*." keys: what a GPU has unless it says otherwise */
    struct gpu gpus[MAX_GPUS];
    unsigned count;
    int order[MAX_GPUS]; /* NVML index to number in the scenario */
    struct rule *rules;
    int rule_count;
    struct event *events; /* by sequence */
    int event_count;
};

struct scenario *scenario_parse(char *text); /* takes the text; NULL without memory */
void scenario_free(struct scenario *s);

/* Reading values. A value that is absent, "unsupported" or not of the type
 * asked for is reported as absent. gpu -1 reads the machine's own keys. */
const char *text_of(const struct scenario *s, int gpu, const char *key);
bool number_of(const struct scenario *s, int gpu, const char *key, long long *out);
bool real_of(const struct scenario *s, int gpu, const char *key, double *out);
bool truth_of(const struct scenario *s, int gpu, const char *key, bool otherwise);
bool parse_number(const char *text, long long *out);
/* Finds "name=123" among the words of a value. */
bool word_of(const char *text, const char *name, long long *out);

/* ---- watch.c: the file ----------------------------------------------- */

struct scenario *scenario_acquire(void);
/* Looks at the file even if that was done a moment ago. */
struct scenario *scenario_acquire_fresh(void);
void scenario_release(struct scenario *s);
const char *machine_directory(void);
/* Whether the kernel's driver is another version than this library. */
bool driver_differs(const struct scenario *s);

/* ---- counters.c ------------------------------------------------------ */

void count_call(enum function fn);

/* ---- rules.c: faults of single functions ----------------------------- */

void rules_parse(struct scenario *s);
void rules_free(struct scenario *s);
/* What the scenario wants fn to return for gpu (-1: none); false: nothing. */
bool rule_return(const struct scenario *s, enum function fn, int gpu, nvmlReturn_t *out);
/* Sleeps and hangs as the scenario wants. Trades the reference it is given for
 * a new one when it had to wait. */
struct scenario *rule_wait(struct scenario *s, enum function fn, int gpu);

/* ---- call.c: what all exported functions share ------------------------ */

struct call {
    enum function fn;
    struct scenario *scenario;
    int gpu;
    int mig; /* slot of a MIG handle, -1: the whole GPU */
};

enum target { NO_DEVICE, GPU_ONLY, GPU_OR_MIG, MIG_ONLY };

nvmlReturn_t call_begin(struct call *c, enum function fn);
nvmlReturn_t call_begin_device(struct call *c, enum function fn, nvmlDevice_t device, enum target want);
/* For functions that look a device up: open, then reach the GPU that was found
 * (its rules and its state apply), or miss when there is none. */
nvmlReturn_t call_open(struct call *c, enum function fn);
nvmlReturn_t call_reach(struct call *c, int gpu);
nvmlReturn_t call_miss(struct call *c, nvmlReturn_t otherwise);
void call_end(struct call *c);
/* SUCCESS, or why the driver cannot answer anything. */
nvmlReturn_t driver_state(const struct scenario *s);

bool library_ready(void);
void library_enter(void);
bool library_leave(void);

nvmlDevice_t device_handle(int gpu, int mig);
bool device_decode(nvmlDevice_t device, int *gpu, int *mig);
void sleep_us(unsigned long long us);
unsigned long long wall_us(void);

#define CALL(expression)                                   \
    struct call call __attribute__((cleanup(call_end)));   \
    do {                                                   \
        nvmlReturn_t begun = (expression);                 \
        if (begun != NVML_SUCCESS) return begun;           \
    } while (0)
#define ENTER(fn) CALL(call_begin(&call, FN_##fn))
#define ENTER_GPU(fn, device) CALL(call_begin_device(&call, FN_##fn, device, GPU_ONLY))
#define ENTER_ANY(fn, device) CALL(call_begin_device(&call, FN_##fn, device, GPU_OR_MIG))
#define ENTER_MIG(fn, device) CALL(call_begin_device(&call, FN_##fn, device, MIG_ONLY))
#define NEED(pointer) \
    do { if ((pointer) == NULL) return NVML_ERROR_INVALID_ARGUMENT; } while (0)

/* Readers of the called device: SUCCESS, or NOT_SUPPORTED when absent. */
nvmlReturn_t give_number(const struct call *c, const char *key, long long *out);
nvmlReturn_t give_u32(const struct call *c, const char *key, unsigned *out);
nvmlReturn_t give_u64(const struct call *c, const char *key, unsigned long long *out);
nvmlReturn_t give_text(const struct call *c, const char *key, char *out, unsigned length);
nvmlReturn_t copy_text(const char *text, char *out, unsigned length);
/* The same key below the called MIG device ("mig.2.memory.used"). */
bool mig_number(const struct call *c, const char *key, long long *out);

/* A whole function that hands out one number of a GPU. */
#define NUMBER(fn, type, key)                           \
    nvmlReturn_t fn(nvmlDevice_t device, type *out)     \
    {                                                   \
        ENTER_GPU(fn, device);                          \
        NEED(out);                                      \
        long long n;                                    \
        nvmlReturn_t r = give_number(&call, key, &n);   \
        if (r == NVML_SUCCESS) *out = (type)n;          \
        return r;                                       \
    }

/* ---- readers that more than one file needs ----------------------------- */

/* ecc.c */
bool ecc_count(const struct scenario *s, int gpu, int uncorrected, int aggregate, const char *location,
               unsigned long long *out);
/* mig.c */
bool mig_profile_number(const struct scenario *s, int gpu, const char *profile, const char *name, long long *out);
nvmlReturn_t mig_unsupported(const struct scenario *s);
bool mig_any(const struct gpu *g);
unsigned mig_slices(const char *profile, char unit);
const char *gpu_instance_profile(const char *profile);
/* identity.c */
void mig_uuid(const struct scenario *s, int gpu, int mig, char out[NVML_DEVICE_UUID_V2_BUFFER_SIZE]);

#endif
