/* Device memory and the BAR1 window, of GPUs and of MIG devices. */
#include "nvsim.h"

/* What a MIG device has of the parent's keys; its size comes from its profile
 * unless the scenario gives another. */
static bool amount(const struct call *c, const char *total_key, const char *used_key, long long *total, long long *used)
{
    *used = 0;
    if (c->mig < 0) {
        number_of(c->scenario, c->gpu, used_key, used);
        return number_of(c->scenario, c->gpu, total_key, total);
    }
    mig_number(c, used_key, used);
    return mig_number(c, total_key, total);
}

static nvmlReturn_t memory(const struct call *c, long long *total, long long *used, long long *reserved)
{
    long long mib;
    *reserved = 0;
    if (c->mig < 0) number_of(c->scenario, c->gpu, "memory.reserved", reserved);
    if (!amount(c, "memory.total", "memory.used", total, used)) {
        const char *profile = c->mig < 0 ? NULL : c->scenario->gpus[c->gpu].slots[c->mig].profile;
        if (!profile || !mig_profile_number(c->scenario, c->gpu, profile, "memory", &mib)) return NVML_ERROR_NOT_SUPPORTED;
        *total = mib << 20;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *info)
{
    long long total, used, reserved;
    ENTER_ANY(nvmlDeviceGetMemoryInfo, device);
    NEED(info);
    nvmlReturn_t r = memory(&call, &total, &used, &reserved);
    if (r != NVML_SUCCESS) return r;
    info->total = (unsigned long long)total;
    info->used = (unsigned long long)(used + reserved);
    info->free = (unsigned long long)(total - used - reserved);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *info)
{
    long long total, used, reserved;
    ENTER_ANY(nvmlDeviceGetMemoryInfo_v2, device);
    NEED(info);
    if (info->version != nvmlMemory_v2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t r = memory(&call, &total, &used, &reserved);
    if (r != NVML_SUCCESS) return r;
    info->total = (unsigned long long)total;
    info->reserved = (unsigned long long)reserved;
    info->used = (unsigned long long)used;
    info->free = (unsigned long long)(total - used - reserved);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *info)
{
    long long total, used;
    ENTER_ANY(nvmlDeviceGetBAR1MemoryInfo, device);
    NEED(info);
    if (!amount(&call, "bar1.total", "bar1.used", &total, &used)) {
        /* All instances see the window of their GPU. */
        if (call.mig < 0 || !number_of(call.scenario, call.gpu, "bar1.total", &total)) return NVML_ERROR_NOT_SUPPORTED;
        number_of(call.scenario, call.gpu, "bar1.used", &used);
    }
    info->bar1Total = (unsigned long long)total;
    info->bar1Used = (unsigned long long)used;
    info->bar1Free = (unsigned long long)(total - used);
    return NVML_SUCCESS;
}
