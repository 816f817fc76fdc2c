/* nvmlDeviceGetFieldValues: the same values under numbers.
 *
 * "field.N = VALUE" answers for any field, also for those that this file does
 * not know; "field.N = error CODE" makes that one entry fail. */
#include "nvsim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_LINKS 0xFFFFFFFFu

struct field {
    unsigned id;
    nvmlValueType_t type;
    const char *key;
};

#define U32 NVML_VALUE_TYPE_UNSIGNED_INT
#define U64 NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
#define S32 NVML_VALUE_TYPE_SIGNED_INT

static const struct field fields[] = {
    {NVML_FI_DEV_ECC_CURRENT, U32, "ecc.mode"},
    {NVML_FI_DEV_ECC_PENDING, U32, "ecc.pending"},
    {NVML_FI_DEV_RETIRED_SBE, U64, "retired.single_bit"},
    {NVML_FI_DEV_RETIRED_DBE, U64, "retired.double_bit"},
    {NVML_FI_DEV_RETIRED_PENDING, U64, "retired.pending"},
    {NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL, U64, "nvlink.crc_flit_errors"},
    {NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL, U64, "nvlink.crc_data_errors"},
    {NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL, U64, "nvlink.replay_errors"},
    {NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL, U64, "nvlink.recovery_errors"},
    {NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_TOTAL, U64, "nvlink.ecc_data_errors"},
    {NVML_FI_DEV_PERF_POLICY_POWER, U64, "violation.power"},
    {NVML_FI_DEV_PERF_POLICY_THERMAL, U64, "violation.thermal"},
    {NVML_FI_DEV_PERF_POLICY_RELIABILITY, U64, "violation.reliability"},
    {NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT, U64, "violation.board_limit"},
    {NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION, U64, "violation.low_utilization"},
    {NVML_FI_DEV_PERF_POLICY_SYNC_BOOST, U64, "violation.sync_boost"},
    {NVML_FI_DEV_MEMORY_TEMP, U32, "temperature.memory"},
    {NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, U64, "energy"},
    {NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON, U32, "nvlink.speed"},
    {NVML_FI_DEV_NVLINK_LINK_COUNT, U32, "nvlink.links"},
    {NVML_FI_DEV_PCIE_REPLAY_COUNTER, U32, "pcie.replay"},
    {NVML_FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER, U32, "pcie.replay_rollover"},
    {NVML_FI_DEV_REMAPPED_COR, U32, "remap.corrected"},
    {NVML_FI_DEV_REMAPPED_UNC, U32, "remap.uncorrected"},
    {NVML_FI_DEV_REMAPPED_PENDING, U32, "remap.pending"},
    {NVML_FI_DEV_REMAPPED_FAILURE, U32, "remap.failure"},
    {NVML_FI_DEV_NVSWITCH_CONNECTED_LINK_COUNT, U32, "nvlink.links"},
    {NVML_FI_DEV_NVLINK_GET_SPEED, U32, "nvlink.speed"},
    {NVML_FI_DEV_NVLINK_GET_VERSION, U32, "nvlink.version"},
    {NVML_FI_DEV_C2C_LINK_COUNT, U32, "c2c.links"},
    {NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS, U32, "pcie.correctable_errors"},
    {NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR, U32, "pcie.non_fatal_errors"},
    {NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR, U32, "pcie.fatal_errors"},
    {NVML_FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER, U32, "pcie.recovery"},
    {NVML_FI_DEV_POWER_AVERAGE, U32, "power.average"},
    {NVML_FI_DEV_POWER_INSTANT, U32, "power.instant"},
    {NVML_FI_DEV_POWER_MIN_LIMIT, U32, "power.min"},
    {NVML_FI_DEV_POWER_MAX_LIMIT, U32, "power.max"},
    {NVML_FI_DEV_POWER_DEFAULT_LIMIT, U32, "power.default_limit"},
    {NVML_FI_DEV_POWER_CURRENT_LIMIT, U32, "power.limit"},
    {NVML_FI_DEV_POWER_REQUESTED_LIMIT, U32, "power.management_limit"},
    {NVML_FI_DEV_ENERGY, U64, "energy"},
    {NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT, S32, "temperature.margin_shutdown"},
    {NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT, S32, "temperature.margin_slowdown"},
    {NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT, S32, "temperature.margin_memory"},
    {NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT, S32, "temperature.margin_gpu"},
    {NVML_FI_DEV_PCIE_COUNT_TX_BYTES, U64, "pcie.tx_bytes"},
    {NVML_FI_DEV_PCIE_COUNT_RX_BYTES, U64, "pcie.rx_bytes"},
    {NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, U32, "recovery_action"},
};

static const struct field throughputs[] = {
    {NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, U64, "nvlink.tx_kib"},
    {NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, U64, "nvlink.rx_kib"},
    {NVML_FI_DEV_NVLINK_THROUGHPUT_RAW_TX, U64, "nvlink.raw_tx_kib"},
    {NVML_FI_DEV_NVLINK_THROUGHPUT_RAW_RX, U64, "nvlink.raw_rx_kib"},
};

/* Fields 3 to 28. Those of one location come in pairs, corrected first; of the
 * control block (CBU) there is no corrected count. */
static bool ecc_field(const struct call *c, unsigned id, unsigned long long *out)
{
    static const char *const places[] = {"l1", "l2", "dram", "register_file", "texture_memory"};
    const struct scenario *s = c->scenario;
    if (id >= NVML_FI_DEV_ECC_SBE_VOL_TOTAL && id <= NVML_FI_DEV_ECC_DBE_AGG_TOTAL) {
        unsigned n = id - NVML_FI_DEV_ECC_SBE_VOL_TOTAL;
        return ecc_count(s, c->gpu, n % 2, n / 2, NULL, out);
    }
    if (id == NVML_FI_DEV_ECC_DBE_VOL_CBU) return ecc_count(s, c->gpu, 1, 0, "cbu", out);
    if (id == NVML_FI_DEV_ECC_DBE_AGG_CBU) return ecc_count(s, c->gpu, 1, 1, "cbu", out);
    bool aggregate = id >= NVML_FI_DEV_ECC_SBE_AGG_L1;
    unsigned n = id - (aggregate ? NVML_FI_DEV_ECC_SBE_AGG_L1 : NVML_FI_DEV_ECC_SBE_VOL_L1);
    return ecc_count(s, c->gpu, n % 2, aggregate, places[n / 2], out);
}

static nvmlReturn_t throughput(const struct call *c, const struct field *f, unsigned scope, unsigned long long *out)
{
    long long links;
    if (!number_of(c->scenario, c->gpu, "nvlink.links", &links) || links <= 0) return NVML_ERROR_NOT_SUPPORTED;
    nvmlReturn_t r = give_u64(c, f->key, out);
    if (r != NVML_SUCCESS || scope == ALL_LINKS) return r;
    if (scope >= links) return NVML_ERROR_INVALID_ARGUMENT;
    *out /= (unsigned long long)links;
    return NVML_SUCCESS;
}

static void put(nvmlFieldValue_t *v, nvmlValueType_t type, unsigned long long n)
{
    memset(&v->value, 0, sizeof v->value);
    v->valueType = type;
    if (type == U32) v->value.uiVal = (unsigned)n;
    else if (type == S32) v->value.siVal = (int)n;
    else v->value.ullVal = n;
}

static nvmlReturn_t named_field(nvmlFieldValue_t *v, const char *text, nvmlValueType_t type)
{
    long long n;
    if (strncmp(text, "error ", 6) == 0) return (nvmlReturn_t)atoi(text + 6);
    if (parse_number(text, &n)) {
        put(v, type, (unsigned long long)n);
        return NVML_SUCCESS;
    }
    memset(&v->value, 0, sizeof v->value);
    v->valueType = NVML_VALUE_TYPE_DOUBLE;
    v->value.dVal = strtod(text, NULL);
    return NVML_SUCCESS;
}

static nvmlReturn_t read_field(const struct call *c, nvmlFieldValue_t *v)
{
    char key[32];
    unsigned long long n = 0;
    const struct field *known = NULL;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].id == v->fieldId) known = &fields[i];
    snprintf(key, sizeof key, "field.%u", v->fieldId);
    const char *named = text_of(c->scenario, c->gpu, key);
    if (named) return named_field(v, named, known ? known->type : U64);
    if (v->fieldId >= NVML_FI_MAX || v->fieldId == 0) return NVML_ERROR_INVALID_ARGUMENT;
    if (v->fieldId >= NVML_FI_DEV_ECC_SBE_VOL_TOTAL && v->fieldId <= NVML_FI_DEV_ECC_DBE_AGG_CBU) {
        if (!ecc_field(c, v->fieldId, &n)) return NVML_ERROR_NOT_SUPPORTED;
        put(v, U64, n);
        return NVML_SUCCESS;
    }
    for (size_t i = 0; i < sizeof throughputs / sizeof *throughputs; i++) {
        if (throughputs[i].id != v->fieldId) continue;
        nvmlReturn_t r = throughput(c, &throughputs[i], v->scopeId, &n);
        if (r == NVML_SUCCESS) put(v, U64, n);
        return r;
    }
    if (!known) return NVML_ERROR_NOT_SUPPORTED;
    nvmlReturn_t r = give_u64(c, known->key, &n);
    if (r == NVML_SUCCESS) put(v, known->type, n);
    return r;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount, nvmlFieldValue_t *values)
{
    ENTER_GPU(nvmlDeviceGetFieldValues, device);
    NEED(values);
    if (valuesCount <= 0) return NVML_ERROR_INVALID_ARGUMENT;
    for (int i = 0; i < valuesCount; i++) {
        values[i].timestamp = (long long)wall_us();
        values[i].latencyUsec = 0;
        values[i].nvmlReturn = read_field(&call, &values[i]);
    }
    return NVML_SUCCESS;
}
