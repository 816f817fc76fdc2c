/* What every exported function does first: count, find the device, obey the
 * rules, and look whether driver and GPU can answer at all. */
#include "nvsim.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A handle is the address of an element: stable, unique, and told from garbage
 * without reading what it points to. Slot 0 is the GPU, 1.. its MIG slots. */
static char handles[MAX_GPUS][1 + MAX_MIGS];

static unsigned initialised; /* atomic */

bool library_ready(void)
{
    return __atomic_load_n(&initialised, __ATOMIC_ACQUIRE) > 0;
}

void library_enter(void)
{
    __atomic_fetch_add(&initialised, 1, __ATOMIC_ACQ_REL);
}

bool library_leave(void)
{
    unsigned n = __atomic_load_n(&initialised, __ATOMIC_ACQUIRE);
    while (n > 0)
        if (__atomic_compare_exchange_n(&initialised, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return true;
    return false;
}

nvmlDevice_t device_handle(int gpu, int mig)
{
    return (nvmlDevice_t){(struct nvmlDevice_st *)&handles[gpu][mig + 1]};
}

bool device_decode(nvmlDevice_t device, int *gpu, int *mig)
{
    uintptr_t at = (uintptr_t)device.handle, first = (uintptr_t)handles;
    if (at < first || at >= first + sizeof handles) return false;
    *gpu = (int)((at - first) / (1 + MAX_MIGS));
    *mig = (int)((at - first) % (1 + MAX_MIGS)) - 1;
    return true;
}

void sleep_us(unsigned long long us)
{
    struct timespec left = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

unsigned long long wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
}

nvmlReturn_t call_open(struct call *c, enum function fn)
{
    *c = (struct call){.fn = fn, .gpu = -1, .mig = -1};
    count_call(fn);
    if (!library_ready()) return NVML_ERROR_UNINITIALIZED;
    c->scenario = scenario_acquire();
    return c->scenario ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

nvmlReturn_t driver_state(const struct scenario *s)
{
    if (!s->loaded) return NVML_ERROR_DRIVER_NOT_LOADED;
    return driver_differs(s) ? NVML_ERROR_LIB_RM_VERSION_MISMATCH : NVML_SUCCESS;
}

nvmlReturn_t call_miss(struct call *c, nvmlReturn_t otherwise)
{
    nvmlReturn_t r;
    c->scenario = rule_wait(c->scenario, c->fn, -1);
    if (!c->scenario) return NVML_ERROR_MEMORY;
    if ((r = driver_state(c->scenario)) != NVML_SUCCESS) return r;
    return rule_return(c->scenario, c->fn, -1, &r) ? r : otherwise;
}

nvmlReturn_t call_begin(struct call *c, enum function fn)
{
    nvmlReturn_t r = call_open(c, fn);
    return r == NVML_SUCCESS ? call_miss(c, NVML_SUCCESS) : r;
}

nvmlReturn_t call_reach(struct call *c, int gpu)
{
    nvmlReturn_t r;
    c->gpu = gpu;
    c->scenario = rule_wait(c->scenario, c->fn, gpu);
    if (!c->scenario) return NVML_ERROR_MEMORY;
    if ((r = driver_state(c->scenario)) != NVML_SUCCESS) return r;
    const struct gpu *g = &c->scenario->gpus[gpu];
    if (!g->present || g->lost) return NVML_ERROR_GPU_IS_LOST;
    if (rule_return(c->scenario, c->fn, gpu, &r)) return r;
    return NVML_SUCCESS;
}

nvmlReturn_t call_begin_device(struct call *c, enum function fn, nvmlDevice_t device, enum target want)
{
    int gpu, mig;
    nvmlReturn_t r = call_open(c, fn);
    if (r != NVML_SUCCESS) return r;
    if (!device_decode(device, &gpu, &mig)) return NVML_ERROR_INVALID_ARGUMENT;
    if ((r = call_reach(c, gpu)) != NVML_SUCCESS) return r;
    c->mig = mig;
    if (mig >= 0 && !c->scenario->gpus[gpu].slots[mig].used) return NVML_ERROR_INVALID_ARGUMENT;
    if (mig >= 0 && want == GPU_ONLY) return mig_unsupported(c->scenario);
    if (mig < 0 && want == MIG_ONLY) return NVML_ERROR_INVALID_ARGUMENT;
    return NVML_SUCCESS;
}

void call_end(struct call *c)
{
    if (c->scenario) scenario_release(c->scenario);
}

nvmlReturn_t give_number(const struct call *c, const char *key, long long *out)
{
    return number_of(c->scenario, c->gpu, key, out) ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t give_u32(const struct call *c, const char *key, unsigned *out)
{
    long long n;
    NEED(out);
    nvmlReturn_t r = give_number(c, key, &n);
    if (r == NVML_SUCCESS) *out = (unsigned)n;
    return r;
}

nvmlReturn_t give_u64(const struct call *c, const char *key, unsigned long long *out)
{
    long long n;
    NEED(out);
    nvmlReturn_t r = give_number(c, key, &n);
    if (r == NVML_SUCCESS) *out = (unsigned long long)n;
    return r;
}

/* Copies a text with each "\xHH" as that byte, and returns its length; what does
 * not fit into room bytes is only counted. */
static size_t unescape(const char *text, char *out, size_t room)
{
    size_t length = 0;
    for (; *text; text++, length++) {
        char byte = *text, digits[3] = "";
        if (text[0] == '\\' && text[1] == 'x' && isxdigit((unsigned char)text[2]) && isxdigit((unsigned char)text[3])) {
            memcpy(digits, text + 2, 2);
            byte = (char)strtoul(digits, NULL, 16);
            text += 3;
        }
        if (length < room) out[length] = byte;
    }
    return length;
}

nvmlReturn_t copy_text(const char *text, char *out, unsigned length)
{
    NEED(out);
    if (!text) return NVML_ERROR_NOT_SUPPORTED;
    size_t n = unescape(text, NULL, 0);
    if (n >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
    unescape(text, out, n);
    out[n] = '\0';
    return NVML_SUCCESS;
}

nvmlReturn_t give_text(const struct call *c, const char *key, char *out, unsigned length)
{
    return copy_text(text_of(c->scenario, c->gpu, key), out, length);
}

bool mig_number(const struct call *c, const char *key, long long *out)
{
    char full[96];
    snprintf(full, sizeof full, "mig.%d.%s", c->mig, key);
    return number_of(c->scenario, c->gpu, full, out);
}
