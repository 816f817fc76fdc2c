/* Memory errors: ECC counters, row remapping, page retirement, repairs. */
#include "nvsim.h"

#include <stdio.h>
#include <string.h>

static const char *const locations[NVML_MEMORY_LOCATION_COUNT] = {
    [NVML_MEMORY_LOCATION_L1_CACHE] = "l1",
    [NVML_MEMORY_LOCATION_L2_CACHE] = "l2",
    [NVML_MEMORY_LOCATION_DRAM] = "dram",
    [NVML_MEMORY_LOCATION_REGISTER_FILE] = "register_file",
    [NVML_MEMORY_LOCATION_TEXTURE_MEMORY] = "texture_memory",
    [NVML_MEMORY_LOCATION_TEXTURE_SHM] = "texture_shm",
    [NVML_MEMORY_LOCATION_CBU] = "cbu",
    [NVML_MEMORY_LOCATION_SRAM] = "sram",
};

/* "ecc.corrected.volatile.dram"; without a location the total, which is the sum
 * of the locations unless the scenario has a number for it. */
bool ecc_count(const struct scenario *s, int gpu, int uncorrected, int aggregate, const char *location, unsigned long long *out)
{
    char key[96];
    long long n;
    const char *type = uncorrected ? "uncorrected" : "corrected", *counter = aggregate ? "aggregate" : "volatile";
    if (!truth_of(s, gpu, "ecc.mode", false)) return false;
    snprintf(key, sizeof key, "ecc.%s.%s.%s", type, counter, location ? location : "total");
    if (number_of(s, gpu, key, &n)) {
        *out = (unsigned long long)n;
        return true;
    }
    if (location) return false;
    bool any = false;
    *out = 0;
    for (int i = 0; i < NVML_MEMORY_LOCATION_COUNT; i++) {
        unsigned long long part;
        if (!ecc_count(s, gpu, uncorrected, aggregate, locations[i], &part)) continue;
        *out += part;
        any = true;
    }
    return any;
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t *current, nvmlEnableState_t *pending)
{
    long long now, next;
    ENTER_GPU(nvmlDeviceGetEccMode, device);
    NEED(current);
    NEED(pending);
    nvmlReturn_t r = give_number(&call, "ecc.mode", &now);
    if (r != NVML_SUCCESS) return r;
    if (give_number(&call, "ecc.pending", &next) != NVML_SUCCESS) next = now;
    *current = (nvmlEnableState_t)now;
    *pending = (nvmlEnableState_t)next;
    return NVML_SUCCESS;
}

static bool ecc_arguments(nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter)
{
    return (unsigned)type < NVML_MEMORY_ERROR_TYPE_COUNT && (unsigned)counter < NVML_ECC_COUNTER_TYPE_COUNT;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t errorType,
                                         nvmlEccCounterType_t counterType, unsigned long long *eccCounts)
{
    ENTER_GPU(nvmlDeviceGetTotalEccErrors, device);
    NEED(eccCounts);
    if (!ecc_arguments(errorType, counterType)) return NVML_ERROR_INVALID_ARGUMENT;
    return ecc_count(call.scenario, call.gpu, (int)errorType, (int)counterType, NULL, eccCounts) ? NVML_SUCCESS
                                                                                                  : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetDetailedEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t errorType,
                                            nvmlEccCounterType_t counterType, nvmlEccErrorCounts_t *eccCounts)
{
    unsigned long long total;
    ENTER_GPU(nvmlDeviceGetDetailedEccErrors, device);
    NEED(eccCounts);
    if (!ecc_arguments(errorType, counterType)) return NVML_ERROR_INVALID_ARGUMENT;
    if (!ecc_count(call.scenario, call.gpu, (int)errorType, (int)counterType, NULL, &total)) return NVML_ERROR_NOT_SUPPORTED;
    /* Zero for what the GPU does not count: so the header says. */
    memset(eccCounts, 0, sizeof *eccCounts);
    ecc_count(call.scenario, call.gpu, (int)errorType, (int)counterType, "l1", &eccCounts->l1Cache);
    ecc_count(call.scenario, call.gpu, (int)errorType, (int)counterType, "l2", &eccCounts->l2Cache);
    ecc_count(call.scenario, call.gpu, (int)errorType, (int)counterType, "dram", &eccCounts->deviceMemory);
    ecc_count(call.scenario, call.gpu, (int)errorType, (int)counterType, "register_file", &eccCounts->registerFile);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, nvmlMemoryErrorType_t errorType,
                                             nvmlEccCounterType_t counterType, nvmlMemoryLocation_t locationType,
                                             unsigned long long *count)
{
    long long n;
    char key[64];
    ENTER_ANY(nvmlDeviceGetMemoryErrorCounter, device);
    NEED(count);
    if (!ecc_arguments(errorType, counterType) || (unsigned)locationType >= NVML_MEMORY_LOCATION_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    bool is_volatile = counterType == NVML_VOLATILE_ECC;
    if (call.mig < 0) {
        /* The volatile counts of a GPU with MIG are those of its instances. */
        if (call.scenario->gpus[call.gpu].mig && is_volatile) return NVML_ERROR_NOT_SUPPORTED;
        return ecc_count(call.scenario, call.gpu, (int)errorType, (int)counterType, locations[locationType], count)
                   ? NVML_SUCCESS
                   : NVML_ERROR_NOT_SUPPORTED;
    }
    if (errorType != NVML_MEMORY_ERROR_TYPE_UNCORRECTED || !is_volatile || locationType == NVML_MEMORY_LOCATION_DRAM)
        return NVML_ERROR_NOT_SUPPORTED;
    snprintf(key, sizeof key, "ecc.uncorrected.volatile.%s", locations[locationType]);
    if (!mig_number(&call, key, &n) && give_number(&call, key, &n) != NVML_SUCCESS) return NVML_ERROR_NOT_SUPPORTED;
    *count = (unsigned long long)n;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t device, nvmlEccSramErrorStatus_t *status)
{
    ENTER_GPU(nvmlDeviceGetSramEccErrorStatus, device);
    NEED(status);
    if (status->version != nvmlEccSramErrorStatus_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    unsigned threshold;
    nvmlReturn_t r = give_u32(&call, "sram.threshold_exceeded", &threshold);
    if (r != NVML_SUCCESS) return r;
    *status = (nvmlEccSramErrorStatus_v1_t){.version = nvmlEccSramErrorStatus_v1, .bThresholdExceeded = threshold};
    ecc_count(call.scenario, call.gpu, 0, 0, "sram", &status->volatileCor);
    ecc_count(call.scenario, call.gpu, 0, 1, "sram", &status->aggregateCor);
    ecc_count(call.scenario, call.gpu, 1, 0, "sram", &status->volatileUncSecDed);
    ecc_count(call.scenario, call.gpu, 1, 1, "sram", &status->aggregateUncSecDed);
    give_u64(&call, "sram.parity.volatile", &status->volatileUncParity);
    give_u64(&call, "sram.parity.aggregate", &status->aggregateUncParity);
    give_u64(&call, "sram.bucket.l2", &status->aggregateUncBucketL2);
    give_u64(&call, "sram.bucket.sm", &status->aggregateUncBucketSm);
    give_u64(&call, "sram.bucket.pcie", &status->aggregateUncBucketPcie);
    give_u64(&call, "sram.bucket.mcu", &status->aggregateUncBucketMcu);
    give_u64(&call, "sram.bucket.other", &status->aggregateUncBucketOther);
    return NVML_SUCCESS;
}

/* ---- row remapping: not of a GPU with MIG devices on it ------------------- */

static bool remaps(const struct call *c)
{
    return !mig_any(&c->scenario->gpus[c->gpu]);
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrRows, unsigned int *uncRows,
                                       unsigned int *isPending, unsigned int *failureOccurred)
{
    ENTER_GPU(nvmlDeviceGetRemappedRows, device);
    if (!remaps(&call)) return NVML_ERROR_NOT_SUPPORTED;
    nvmlReturn_t r = give_u32(&call, "remap.corrected", corrRows);
    if (r == NVML_SUCCESS) r = give_u32(&call, "remap.uncorrected", uncRows);
    if (r == NVML_SUCCESS) r = give_u32(&call, "remap.pending", isPending);
    if (r == NVML_SUCCESS) r = give_u32(&call, "remap.failure", failureOccurred);
    return r;
}

nvmlReturn_t nvmlDeviceGetRemappedRows_v2(nvmlDevice_t device, nvmlRemappedRowsInfo_v2_t *info)
{
    ENTER_GPU(nvmlDeviceGetRemappedRows_v2, device);
    NEED(info);
    if (!remaps(&call)) return NVML_ERROR_NOT_SUPPORTED;
    memset(info, 0, sizeof *info);
    nvmlReturn_t r = give_u32(&call, "remap.corrected", &info->corrActiveRemaps);
    if (r == NVML_SUCCESS) r = give_u32(&call, "remap.uncorrected", &info->uncActiveRemaps);
    if (r == NVML_SUCCESS) r = give_u32(&call, "remap.pending", &info->bPending);
    if (r == NVML_SUCCESS) r = give_u32(&call, "remap.failure", &info->bFailureOccurred);
    give_u32(&call, "remap.corrected_inactive", &info->corrInactiveRemaps);
    give_u32(&call, "remap.uncorrected_inactive", &info->uncInactiveRemaps);
    return r;
}

nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t device, nvmlRowRemapperHistogramValues_t *values)
{
    ENTER_GPU(nvmlDeviceGetRowRemapperHistogram, device);
    NEED(values);
    memset(values, 0, sizeof *values);
    give_u32(&call, "remap.histogram.high", &values->high);
    give_u32(&call, "remap.histogram.partial", &values->partial);
    give_u32(&call, "remap.histogram.low", &values->low);
    give_u32(&call, "remap.histogram.none", &values->none);
    return give_u32(&call, "remap.histogram.max", &values->max);
}

nvmlReturn_t nvmlDeviceGetRepairStatus(nvmlDevice_t device, nvmlRepairStatus_t *status)
{
    ENTER_GPU(nvmlDeviceGetRepairStatus, device);
    NEED(status);
    if (status->version != nvmlRepairStatus_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t r = give_u32(&call, "repair.channel_pending", &status->bChannelRepairPending);
    return r == NVML_SUCCESS ? give_u32(&call, "repair.tpc_pending", &status->bTpcRepairPending) : r;
}

nvmlReturn_t nvmlDeviceGetUnrepairableMemoryFlag_v1(nvmlDevice_t device, nvmlUnrepairableMemoryStatus_v1_t *status)
{
    ENTER_GPU(nvmlDeviceGetUnrepairableMemoryFlag_v1, device);
    NEED(status);
    return give_u32(&call, "unrepairable_memory", &status->bUnrepairableMemory);
}

/* ---- page retirement, which GPUs had before they remapped rows ------------- */

NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, nvmlEnableState_t, "retired.pending")

static nvmlReturn_t retired(const struct call *c, nvmlPageRetirementCause_t cause, unsigned *count,
                            unsigned long long *addresses, unsigned long long *timestamps)
{
    unsigned pages;
    NEED(count);
    if ((unsigned)cause >= NVML_PAGE_RETIREMENT_CAUSE_COUNT) return NVML_ERROR_INVALID_ARGUMENT;
    bool single = cause == NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS;
    nvmlReturn_t r = give_u32(c, single ? "retired.single_bit" : "retired.double_bit", &pages);
    if (r != NVML_SUCCESS) return r;
    unsigned room = *count;
    *count = pages;
    if (room < pages) return NVML_ERROR_INSUFFICIENT_SIZE;
    if (pages > 0) NEED(addresses);
    for (unsigned i = 0; i < pages; i++) {
        addresses[i] = 0x10000ULL * (i + 1);
        if (timestamps) timestamps[i] = wall_us();
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned int *pageCount,
                                       unsigned long long *addresses)
{
    ENTER_GPU(nvmlDeviceGetRetiredPages, device);
    return retired(&call, cause, pageCount, addresses, NULL);
}

nvmlReturn_t nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned int *pageCount,
                                          unsigned long long *addresses, unsigned long long *timestamps)
{
    ENTER_GPU(nvmlDeviceGetRetiredPages_v2, device);
    return retired(&call, cause, pageCount, addresses, timestamps);
}
