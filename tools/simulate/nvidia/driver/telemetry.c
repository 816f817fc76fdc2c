/* Power, clocks, temperatures, utilisation and the modes of a GPU. */
#include "nvsim.h"

#include <stdio.h>

/* ---- power, in milliwatts -------------------------------------------- */

NUMBER(nvmlDeviceGetPowerUsage, unsigned int, "power.usage")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned int, "power.limit")
NUMBER(nvmlDeviceGetPowerManagementLimit, unsigned int, "power.management_limit")
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, unsigned int, "power.default_limit")
NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, "energy")

nvmlReturn_t nvmlDeviceGetPowerManagementMode(nvmlDevice_t device, nvmlEnableState_t *mode)
{
    ENTER_GPU(nvmlDeviceGetPowerManagementMode, device);
    NEED(mode);
    if (!text_of(call.scenario, call.gpu, "power.management_limit")) return NVML_ERROR_NOT_SUPPORTED;
    *mode = NVML_FEATURE_ENABLED;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *minLimit, unsigned int *maxLimit)
{
    ENTER_GPU(nvmlDeviceGetPowerManagementLimitConstraints, device);
    nvmlReturn_t r = give_u32(&call, "power.min", minLimit);
    return r == NVML_SUCCESS ? give_u32(&call, "power.max", maxLimit) : r;
}

/* ---- clocks, in MHz --------------------------------------------------- */

static nvmlReturn_t clock_of(const struct call *c, const char *prefix, nvmlClockType_t type, unsigned *out)
{
    static const char *const names[NVML_CLOCK_COUNT] = {
        [NVML_CLOCK_GRAPHICS] = "graphics", [NVML_CLOCK_SM] = "sm", [NVML_CLOCK_MEM] = "memory", [NVML_CLOCK_VIDEO] = "video",
    };
    char key[64];
    NEED(out);
    if ((unsigned)type >= NVML_CLOCK_COUNT) return NVML_ERROR_INVALID_ARGUMENT;
    snprintf(key, sizeof key, "%s.%s", prefix, names[type]);
    return give_u32(c, key, out);
}

#define CLOCK(fn, prefix)                                                               \
    nvmlReturn_t fn(nvmlDevice_t device, nvmlClockType_t type, unsigned int *clock)     \
    {                                                                                   \
        ENTER_GPU(fn, device);                                                          \
        return clock_of(&call, prefix, type, clock);                                    \
    }

CLOCK(nvmlDeviceGetClockInfo, "clock")
CLOCK(nvmlDeviceGetMaxClockInfo, "clock.max")
CLOCK(nvmlDeviceGetApplicationsClock, "clock.application")
CLOCK(nvmlDeviceGetDefaultApplicationsClock, "clock.default_application")
CLOCK(nvmlDeviceGetMaxCustomerBoostClock, "clock.max_boost")

nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, nvmlClockType_t clockType, nvmlClockId_t clockId, unsigned int *clockMHz)
{
    static const char *const prefixes[NVML_CLOCK_ID_COUNT] = {
        [NVML_CLOCK_ID_CURRENT] = "clock",
        [NVML_CLOCK_ID_APP_CLOCK_TARGET] = "clock.application",
        [NVML_CLOCK_ID_APP_CLOCK_DEFAULT] = "clock.default_application",
        [NVML_CLOCK_ID_CUSTOMER_BOOST_MAX] = "clock.max_boost",
    };
    ENTER_GPU(nvmlDeviceGetClock, device);
    if ((unsigned)clockId >= NVML_CLOCK_ID_COUNT) return NVML_ERROR_INVALID_ARGUMENT;
    return clock_of(&call, prefixes[clockId], clockType, clockMHz);
}

NUMBER(nvmlDeviceGetPerformanceState, nvmlPstates_t, "performance_state")
NUMBER(nvmlDeviceGetPowerState, nvmlPstates_t, "performance_state")
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, "clocks_event_reasons")
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, "clocks_event_reasons")
NUMBER(nvmlDeviceGetSupportedClocksThrottleReasons, unsigned long long, "clocks_event_reasons.supported")
NUMBER(nvmlDeviceGetSupportedClocksEventReasons, unsigned long long, "clocks_event_reasons.supported")

/* ---- temperatures, in degrees Celsius, and fans ------------------------ */

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensorType, unsigned int *temp)
{
    ENTER_GPU(nvmlDeviceGetTemperature, device);
    if (sensorType != NVML_TEMPERATURE_GPU) return NVML_ERROR_INVALID_ARGUMENT;
    return give_u32(&call, "temperature", temp);
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
    long long n;
    ENTER_GPU(nvmlDeviceGetTemperatureV, device);
    NEED(temperature);
    if (temperature->version != nvmlTemperature_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (temperature->sensorType != NVML_TEMPERATURE_GPU) return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t r = give_number(&call, "temperature", &n);
    if (r == NVML_SUCCESS) temperature->temperature = (int)n;
    return r;
}

nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_t *margin)
{
    long long n;
    ENTER_GPU(nvmlDeviceGetMarginTemperature, device);
    NEED(margin);
    if (margin->version != nvmlMarginTemperature_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t r = give_number(&call, "temperature.margin", &n);
    if (r == NVML_SUCCESS) margin->marginTemperature = (int)n;
    return r;
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, nvmlTemperatureThresholds_t type, unsigned int *temp)
{
    static const char *const keys[NVML_TEMPERATURE_THRESHOLD_COUNT] = {
        [NVML_TEMPERATURE_THRESHOLD_SHUTDOWN] = "temperature.shutdown",
        [NVML_TEMPERATURE_THRESHOLD_SLOWDOWN] = "temperature.slowdown",
        [NVML_TEMPERATURE_THRESHOLD_MEM_MAX] = "temperature.memory_max",
        [NVML_TEMPERATURE_THRESHOLD_GPU_MAX] = "temperature.gpu_max",
    };
    ENTER_GPU(nvmlDeviceGetTemperatureThreshold, device);
    if ((unsigned)type >= NVML_TEMPERATURE_THRESHOLD_COUNT) return NVML_ERROR_INVALID_ARGUMENT;
    return keys[type] ? give_u32(&call, keys[type], temp) : NVML_ERROR_NOT_SUPPORTED;
}

NUMBER(nvmlDeviceGetFanSpeed, unsigned int, "fan.speed")
NUMBER(nvmlDeviceGetNumFans, unsigned int, "fan.count")

nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, unsigned int *speed)
{
    long long fans = 0;
    ENTER_GPU(nvmlDeviceGetFanSpeed_v2, device);
    number_of(call.scenario, call.gpu, "fan.count", &fans);
    if (fans > 0 && fan >= fans) return NVML_ERROR_INVALID_ARGUMENT;
    return give_u32(&call, "fan.speed", speed);
}

/* ---- utilisation, in percent: not of a GPU that is cut into MIG devices -- */

static bool whole(const struct call *c)
{
    return !c->scenario->gpus[c->gpu].mig;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    ENTER_GPU(nvmlDeviceGetUtilizationRates, device);
    NEED(utilization);
    if (!whole(&call)) return NVML_ERROR_NOT_SUPPORTED;
    nvmlReturn_t r = give_u32(&call, "utilization.gpu", &utilization->gpu);
    return r == NVML_SUCCESS ? give_u32(&call, "utilization.memory", &utilization->memory) : r;
}

static nvmlReturn_t engine(const struct call *c, const char *key, unsigned *percent, unsigned *period)
{
    NEED(period);
    if (!whole(c)) return NVML_ERROR_NOT_SUPPORTED;
    nvmlReturn_t r = give_u32(c, key, percent);
    if (r == NVML_SUCCESS && give_u32(c, "utilization.period_us", period) != NVML_SUCCESS) *period = 1000000;
    return r;
}

#define ENGINE(fn, key)                                                                              \
    nvmlReturn_t fn(nvmlDevice_t device, unsigned int *utilization, unsigned int *samplingPeriodUs)  \
    {                                                                                                \
        ENTER_GPU(fn, device);                                                                       \
        return engine(&call, key, utilization, samplingPeriodUs);                                    \
    }

ENGINE(nvmlDeviceGetEncoderUtilization, "utilization.encoder")
ENGINE(nvmlDeviceGetDecoderUtilization, "utilization.decoder")
ENGINE(nvmlDeviceGetJpgUtilization, "utilization.jpeg")
ENGINE(nvmlDeviceGetOfaUtilization, "utilization.ofa")

/* The whole chip's size says nothing about a GPU that is cut up. */
#define OF_WHOLE(fn, key)                                                       \
    nvmlReturn_t fn(nvmlDevice_t device, unsigned int *out)                     \
    {                                                                           \
        ENTER_GPU(fn, device);                                                  \
        return whole(&call) ? give_u32(&call, key, out) : NVML_ERROR_NOT_SUPPORTED; \
    }

OF_WHOLE(nvmlDeviceGetNumGpuCores, "cores")
OF_WHOLE(nvmlDeviceGetMemoryBusWidth, "memory_bus_width")

/* ---- modes ------------------------------------------------------------- */

NUMBER(nvmlDeviceGetDisplayMode, nvmlEnableState_t, "display.mode")
NUMBER(nvmlDeviceGetDisplayActive, nvmlEnableState_t, "display.active")
NUMBER(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, "persistence_mode")
NUMBER(nvmlDeviceGetVirtualizationMode, nvmlGpuVirtualizationMode_t, "virtualization_mode")
NUMBER(nvmlDeviceGetAccountingMode, nvmlEnableState_t, "accounting_mode")

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode)
{
    long long n;
    ENTER_ANY(nvmlDeviceGetComputeMode, device);
    NEED(mode);
    nvmlReturn_t r = give_number(&call, "compute_mode", &n);
    if (r == NVML_SUCCESS) *mode = (nvmlComputeMode_t)n;
    return r;
}

nvmlReturn_t nvmlDeviceGetAddressingMode(nvmlDevice_t device, nvmlDeviceAddressingMode_t *mode)
{
    ENTER_GPU(nvmlDeviceGetAddressingMode, device);
    NEED(mode);
    if (mode->version != nvmlDeviceAddressingMode_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return give_u32(&call, "addressing_mode", &mode->value);
}
