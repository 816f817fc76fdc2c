/* Start and end of the library, versions, error texts. */
#include "nvsim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nvmlReturn_t init(enum function fn)
{
    nvmlReturn_t r;
    long long n;
    count_call(fn);
    struct scenario *s = scenario_acquire_fresh();
    if (s) s = rule_wait(s, fn, -1);
    if (!s) return NVML_ERROR_MEMORY;
    if (rule_return(s, fn, -1, &r)) {}
    else if (number_of(s, -1, "init.return", &n) && n != NVML_SUCCESS) r = (nvmlReturn_t)n;
    else if (!s->loaded) r = NVML_ERROR_DRIVER_NOT_LOADED;
    else if (driver_differs(s)) r = NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    else r = NVML_SUCCESS;
    scenario_release(s);
    if (r == NVML_SUCCESS) library_enter();
    return r;
}

nvmlReturn_t nvmlInit(void)
{
    return init(FN_nvmlInit);
}

nvmlReturn_t nvmlInit_v2(void)
{
    return init(FN_nvmlInit_v2);
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    return init(FN_nvmlInitWithFlags);
}

nvmlReturn_t nvmlShutdown(void)
{
    nvmlReturn_t r;
    count_call(FN_nvmlShutdown);
    struct scenario *s = scenario_acquire();
    if (s) s = rule_wait(s, FN_nvmlShutdown, -1);
    bool ruled = s && rule_return(s, FN_nvmlShutdown, -1, &r);
    if (s) scenario_release(s);
    if (ruled) return r;
    return library_leave() ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    static const char *const texts[] = {
        [NVML_SUCCESS] = "Success",
        [NVML_ERROR_UNINITIALIZED] = "Uninitialized",
        [NVML_ERROR_INVALID_ARGUMENT] = "Invalid Argument",
        [NVML_ERROR_NOT_SUPPORTED] = "Not Supported",
        [NVML_ERROR_NO_PERMISSION] = "Insufficient Permissions",
        [NVML_ERROR_ALREADY_INITIALIZED] = "Already Initialized",
        [NVML_ERROR_NOT_FOUND] = "Not Found",
        [NVML_ERROR_INSUFFICIENT_SIZE] = "Insufficient Size",
        [NVML_ERROR_INSUFFICIENT_POWER] = "Insufficient External Power",
        [NVML_ERROR_DRIVER_NOT_LOADED] = "Driver Not Loaded",
        [NVML_ERROR_TIMEOUT] = "Timeout",
        [NVML_ERROR_IRQ_ISSUE] = "Interrupt Request Issue",
        [NVML_ERROR_LIBRARY_NOT_FOUND] = "NVML Shared Library Not Found",
        [NVML_ERROR_FUNCTION_NOT_FOUND] = "Function Not Found",
        [NVML_ERROR_CORRUPTED_INFOROM] = "Corrupted infoROM",
        [NVML_ERROR_GPU_IS_LOST] = "GPU is lost",
        [NVML_ERROR_RESET_REQUIRED] = "GPU requires reset",
        [NVML_ERROR_OPERATING_SYSTEM] = "GPU access blocked by the operating system",
        [NVML_ERROR_LIB_RM_VERSION_MISMATCH] = "Driver/library version mismatch",
        [NVML_ERROR_IN_USE] = "In use by another client",
        [NVML_ERROR_MEMORY] = "Insufficient Memory",
        [NVML_ERROR_NO_DATA] = "No data",
        [NVML_ERROR_VGPU_ECC_NOT_SUPPORTED] = "vGPU operation not supported with ECC enabled",
        [NVML_ERROR_INSUFFICIENT_RESOURCES] = "Insufficient Resources",
        [NVML_ERROR_FREQ_NOT_SUPPORTED] = "Frequency not supported",
        [NVML_ERROR_ARGUMENT_VERSION_MISMATCH] = "Argument version mismatch",
        [NVML_ERROR_DEPRECATED] = "Deprecated",
        [NVML_ERROR_NOT_READY] = "Not ready",
        [NVML_ERROR_GPU_NOT_FOUND] = "No GPUs found",
        [NVML_ERROR_INVALID_STATE] = "Invalid state",
        [NVML_ERROR_RESET_TYPE_NOT_SUPPORTED] = "Reset type not supported",
    };
    count_call(FN_nvmlErrorString);
    struct scenario *s = scenario_acquire();
    if (s && (s = rule_wait(s, FN_nvmlErrorString, -1))) scenario_release(s);
    if ((unsigned)result < sizeof texts / sizeof *texts && texts[result]) return texts[result];
    return "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    ENTER(nvmlSystemGetDriverVersion);
    return copy_text(text_of(call.scenario, -1, "driver.version"), version, length);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    char derived[128];
    ENTER(nvmlSystemGetNVMLVersion);
    const char *cuda = text_of(call.scenario, -1, "cuda.version");
    snprintf(derived, sizeof derived, "%d.%s", cuda ? atoi(cuda) : 0, text_of(call.scenario, -1, "driver.version"));
    return copy_text(derived, version, length);
}

static nvmlReturn_t cuda_version(const struct call *c, int *out)
{
    int major = 0, minor = 0;
    const char *text = text_of(c->scenario, -1, "cuda.version");
    NEED(out);
    if (!text || sscanf(text, "%d.%d", &major, &minor) < 1) return NVML_ERROR_FUNCTION_NOT_FOUND;
    *out = major * 1000 + minor * 10;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *cudaDriverVersion)
{
    ENTER(nvmlSystemGetCudaDriverVersion);
    return cuda_version(&call, cudaDriverVersion);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *cudaDriverVersion)
{
    ENTER(nvmlSystemGetCudaDriverVersion_v2);
    return cuda_version(&call, cudaDriverVersion);
}
