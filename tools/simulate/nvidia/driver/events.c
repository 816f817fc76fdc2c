/* Event sets: "event.7 = gpu.0 xid 79" is delivered once to every set that had
 * registered for such events of the GPU when the line was added. Numbers grow:
 * an event with a lower number than one that was seen is not delivered. */
#include "nvsim.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define MAX_SETS 64
#define POLL_US 20000

struct set {
    bool live;
    unsigned long long seen; /* the last event that was looked at */
    unsigned long long types[MAX_GPUS];
    unsigned long long since[MAX_GPUS]; /* the last event before it registered */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct set sets[MAX_SETS]; /* guarded by the lock */

static struct set *set_of(nvmlEventSet_t handle)
{
    uintptr_t at = (uintptr_t)handle.handle, first = (uintptr_t)sets;
    if (at < first || at >= first + sizeof sets || (at - first) % sizeof *sets != 0) return NULL;
    struct set *s = &sets[(at - first) / sizeof *sets];
    return s->live ? s : NULL;
}

static unsigned long long last_event(const struct scenario *s)
{
    return s->event_count ? s->events[s->event_count - 1].sequence : 0;
}

/* What is in the file now is the past of a set that is made now. */
static unsigned long long last_event_now(void)
{
    struct scenario *s = scenario_acquire_fresh();
    unsigned long long last = s ? last_event(s) : 0;
    if (s) scenario_release(s);
    return last;
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *eventTypes)
{
    ENTER_GPU(nvmlDeviceGetSupportedEventTypes, device);
    NEED(eventTypes);
    if (give_u64(&call, "events", eventTypes) != NVML_SUCCESS) *eventTypes = 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    ENTER(nvmlEventSetCreate);
    NEED(set);
    nvmlReturn_t r = NVML_ERROR_INSUFFICIENT_RESOURCES;
    unsigned long long last = last_event_now();
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_SETS && r != NVML_SUCCESS; i++) {
        if (sets[i].live) continue;
        sets[i] = (struct set){.live = true, .seen = last};
        *set = (nvmlEventSet_t){(struct nvmlEventSet_st *)&sets[i]};
        r = NVML_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    ENTER(nvmlEventSetFree);
    pthread_mutex_lock(&lock);
    struct set *s = set_of(set);
    if (s) s->live = false;
    pthread_mutex_unlock(&lock);
    return s ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long eventTypes, nvmlEventSet_t set)
{
    unsigned long long supported = 0;
    ENTER_GPU(nvmlDeviceRegisterEvents, device);
    give_u64(&call, "events", &supported);
    if (eventTypes & ~supported) return NVML_ERROR_NOT_SUPPORTED;
    unsigned long long last = last_event_now();
    pthread_mutex_lock(&lock);
    struct set *s = set_of(set);
    if (s) {
        if (!s->types[call.gpu]) s->since[call.gpu] = last;
        s->types[call.gpu] |= eventTypes;
    }
    pthread_mutex_unlock(&lock);
    return s ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

/* Takes the next event of the scenario for a set. TIMEOUT: there is none. */
static nvmlReturn_t next_event(const struct scenario *s, nvmlEventSet_t handle, nvmlEventData_t *data)
{
    nvmlReturn_t r = NVML_ERROR_TIMEOUT;
    pthread_mutex_lock(&lock);
    struct set *set = set_of(handle);
    if (!set) r = NVML_ERROR_INVALID_ARGUMENT;
    for (int i = 0; set && i < s->event_count && r != NVML_SUCCESS; i++) {
        const struct event *e = &s->events[i];
        if (e->sequence <= set->seen) continue;
        set->seen = e->sequence;
        if (!(set->types[e->gpu] & e->type) || e->sequence <= set->since[e->gpu]) continue;
        *data = (nvmlEventData_t){
            .device = device_handle(e->gpu, -1),
            .eventType = e->type,
            .eventData = e->data,
            .gpuInstanceId = e->gi,
            .computeInstanceId = e->ci,
        };
        r = NVML_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

static unsigned long long monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
}

static nvmlReturn_t wait(struct call *c, nvmlEventSet_t set, nvmlEventData_t *data, unsigned timeout_ms)
{
    NEED(data);
    unsigned long long now = monotonic_us(), end = now + timeout_ms * 1000ULL;
    for (;;) {
        nvmlReturn_t r = driver_state(c->scenario);
        if (r == NVML_SUCCESS) r = next_event(c->scenario, set, data);
        now = monotonic_us();
        if (r != NVML_ERROR_TIMEOUT || now >= end) return r;
        scenario_release(c->scenario);
        c->scenario = NULL;
        sleep_us(end - now < POLL_US ? end - now : POLL_US);
        c->scenario = scenario_acquire();
        if (!c->scenario) return NVML_ERROR_MEMORY;
    }
}

nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    ENTER(nvmlEventSetWait);
    return wait(&call, set, data, timeoutms);
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    ENTER(nvmlEventSetWait_v2);
    return wait(&call, set, data, timeoutms);
}
