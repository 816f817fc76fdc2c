/* GPM: metrics between two samples. The scenario has the metrics themselves:
 * "gpm.2 = 37.5" for a GPU, "mig.1.gpm.2 = 80" for an instance of it. */
#include "nvsim.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* nvml.h: the counters are refreshed every 100 ms. Between samples that are
 * closer nothing has happened, and a share of nothing is not a number. */
#define REFRESH_US 100000

struct sample {
    struct sample *next;
    bool filled;
    int gpu;
    int slot; /* of the instance, -1: the whole GPU */
    unsigned long long taken_us;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sample *samples; /* guarded by the lock, as are the samples */

static struct sample *sample_of(nvmlGpmSample_t handle)
{
    for (struct sample *s = samples; s; s = s->next)
        if ((struct nvmlGpmSample_st *)s == handle.handle) return s;
    return NULL;
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *gpmSample)
{
    ENTER(nvmlGpmSampleAlloc);
    NEED(gpmSample);
    struct sample *s = calloc(1, sizeof *s);
    if (!s) return NVML_ERROR_MEMORY;
    pthread_mutex_lock(&lock);
    s->next = samples;
    samples = s;
    pthread_mutex_unlock(&lock);
    gpmSample->handle = (struct nvmlGpmSample_st *)s;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t gpmSample)
{
    ENTER(nvmlGpmSampleFree);
    pthread_mutex_lock(&lock);
    struct sample *s = sample_of(gpmSample);
    for (struct sample **at = &samples; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (!s) return NVML_ERROR_INVALID_ARGUMENT;
    free(s);
    return NVML_SUCCESS;
}

static bool supported(const struct call *c)
{
    return truth_of(c->scenario, c->gpu, "gpm", false);
}

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *gpmSupport)
{
    ENTER_ANY(nvmlGpmQueryDeviceSupport, device);
    NEED(gpmSupport);
    if (gpmSupport->version != NVML_GPM_SUPPORT_VERSION) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    gpmSupport->isSupportedDevice = supported(&call);
    return NVML_SUCCESS;
}

static nvmlReturn_t fill(const struct call *c, int slot, nvmlGpmSample_t handle)
{
    if (!supported(c)) return NVML_ERROR_NOT_SUPPORTED;
    pthread_mutex_lock(&lock);
    struct sample *s = sample_of(handle);
    if (s) {
        s->filled = true;
        s->gpu = c->gpu;
        s->slot = slot;
        s->taken_us = wall_us();
    }
    pthread_mutex_unlock(&lock);
    return s ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t gpmSample)
{
    ENTER_ANY(nvmlGpmSampleGet, device);
    return fill(&call, call.mig, gpmSample);
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned int gpuInstanceId, nvmlGpmSample_t gpmSample)
{
    ENTER_GPU(nvmlGpmMigSampleGet, device);
    const struct gpu *g = &call.scenario->gpus[call.gpu];
    for (int i = 0; i < MAX_MIGS; i++)
        if (g->slots[i].used && g->slots[i].gi == gpuInstanceId) return fill(&call, i, gpmSample);
    return NVML_ERROR_INVALID_ARGUMENT;
}

static const struct { unsigned id; nvmlGpmMetricMetricInfo_t info; } infos[] = {
    {NVML_GPM_METRIC_GRAPHICS_UTIL, {"Graphics Util", "Graphics Engine Active", "%"}},
    {NVML_GPM_METRIC_SM_UTIL, {"SM Util", "SM Active", "%"}},
    {NVML_GPM_METRIC_SM_OCCUPANCY, {"SM Occupancy", "SM Occupancy", "%"}},
    {NVML_GPM_METRIC_ANY_TENSOR_UTIL, {"Tensor Util", "Tensor Cores Active", "%"}},
    {NVML_GPM_METRIC_DRAM_BW_UTIL, {"DRAM BW Util", "DRAM Bandwidth Used", "%"}},
    {NVML_GPM_METRIC_PCIE_TX_PER_SEC, {"PCIe TX", "PCIe Traffic from the GPU", "MiB/s"}},
    {NVML_GPM_METRIC_PCIE_RX_PER_SEC, {"PCIe RX", "PCIe Traffic to the GPU", "MiB/s"}},
};

static void metric(const struct call *c, const struct sample *s, bool fresh, nvmlGpmMetric_t *m)
{
    char key[48];
    if (s->slot < 0) snprintf(key, sizeof key, "gpm.%u", m->metricId);
    else snprintf(key, sizeof key, "mig.%d.gpm.%u", s->slot, m->metricId);
    m->metricInfo = (nvmlGpmMetricMetricInfo_t){0};
    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++)
        if (infos[i].id == m->metricId) m->metricInfo = infos[i].info;
    m->nvmlReturn = real_of(c->scenario, s->gpu, key, &m->value) ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
    if (m->nvmlReturn == NVML_SUCCESS && !fresh) m->value = NAN;
}

nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *get)
{
    struct sample one = {0}, two = {0};
    CALL(call_open(&call, FN_nvmlGpmMetricsGet));
    NEED(get);
    pthread_mutex_lock(&lock);
    const struct sample *a = sample_of(get->sample1), *b = sample_of(get->sample2);
    if (a && b) one = *a, two = *b;
    pthread_mutex_unlock(&lock);
    if (!a || !b || !one.filled || !two.filled) return call_miss(&call, NVML_ERROR_INVALID_ARGUMENT);
    nvmlReturn_t r = call_reach(&call, one.gpu);
    if (r != NVML_SUCCESS) return r;
    if (get->version != NVML_GPM_METRICS_GET_VERSION) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (get->numMetrics > NVML_GPM_METRIC_MAX || one.gpu != two.gpu || one.slot != two.slot) return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < get->numMetrics; i++)
        metric(&call, &two, two.taken_us >= one.taken_us + REFRESH_US, &get->metrics[i]);
    return NVML_SUCCESS;
}
