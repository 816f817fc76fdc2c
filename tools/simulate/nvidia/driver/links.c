/* What connects a GPU: PCIe, NVLink and its fabric, the neighbours. */
#include "nvsim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nvml.h: the throughput is counted over 20 ms. */
#define PCIE_SAMPLE_US 20000

/* ---- PCIe --------------------------------------------------------------- */

NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned int, "pcie.max_generation")
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, unsigned int, "pcie.device_max_generation")
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, unsigned int, "pcie.max_width")
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned int, "pcie.generation")
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned int, "pcie.width")
NUMBER(nvmlDeviceGetPcieReplayCounter, unsigned int, "pcie.replay")

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter, unsigned int *value)
{
    ENTER_GPU(nvmlDeviceGetPcieThroughput, device);
    NEED(value);
    if ((unsigned)counter >= NVML_PCIE_UTIL_COUNT) return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t r = give_u32(&call, counter == NVML_PCIE_UTIL_TX_BYTES ? "pcie.tx_kib" : "pcie.rx_kib", value);
    if (r == NVML_SUCCESS) sleep_us(PCIE_SAMPLE_US);
    return r;
}

/* Generation to NVML_PCIE_LINK_MAX_SPEED_* and to MT/s. */
nvmlReturn_t nvmlDeviceGetPcieLinkMaxSpeed(nvmlDevice_t device, unsigned int *maxSpeed)
{
    ENTER_GPU(nvmlDeviceGetPcieLinkMaxSpeed, device);
    return give_u32(&call, "pcie.max_generation", maxSpeed);
}

nvmlReturn_t nvmlDeviceGetPcieSpeed(nvmlDevice_t device, unsigned int *pcieSpeed)
{
    static const unsigned speeds[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};
    unsigned generation;
    ENTER_GPU(nvmlDeviceGetPcieSpeed, device);
    NEED(pcieSpeed);
    nvmlReturn_t r = give_u32(&call, "pcie.generation", &generation);
    if (r != NVML_SUCCESS) return r;
    if (generation >= sizeof speeds / sizeof *speeds) return NVML_ERROR_UNKNOWN;
    *pcieSpeed = speeds[generation];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetBusType(nvmlDevice_t device, nvmlBusType_t *type)
{
    ENTER_GPU(nvmlDeviceGetBusType, device);
    NEED(type);
    *type = text_of(call.scenario, call.gpu, "pcie.max_generation") ? NVML_BUS_TYPE_PCIE : NVML_BUS_TYPE_UNKNOWN;
    return NVML_SUCCESS;
}

/* ---- NVLink ------------------------------------------------------------- */

static nvmlReturn_t link_check(const struct call *c, unsigned link)
{
    long long links;
    if (link >= NVML_NVLINK_MAX_LINKS) return NVML_ERROR_INVALID_ARGUMENT;
    if (!number_of(c->scenario, c->gpu, "nvlink.links", &links)) return NVML_ERROR_NOT_SUPPORTED;
    return link < links ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

/* "nvlink.3.state = 0" takes one link down; they are up otherwise. */
static bool link_up(const struct call *c, unsigned link)
{
    char key[32];
    snprintf(key, sizeof key, "nvlink.%u.state", link);
    return truth_of(c->scenario, c->gpu, key, true);
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link, nvmlEnableState_t *isActive)
{
    ENTER_GPU(nvmlDeviceGetNvLinkState, device);
    NEED(isActive);
    nvmlReturn_t r = link_check(&call, link);
    if (r == NVML_SUCCESS) *isActive = link_up(&call, link) ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return r;
}

nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned int link, unsigned int *version)
{
    ENTER_GPU(nvmlDeviceGetNvLinkVersion, device);
    nvmlReturn_t r = link_check(&call, link);
    return r == NVML_SUCCESS ? give_u32(&call, "nvlink.version", version) : r;
}

nvmlReturn_t nvmlDeviceGetNvLinkCapability(nvmlDevice_t device, unsigned int link, nvmlNvLinkCapability_t capability,
                                           unsigned int *capResult)
{
    ENTER_GPU(nvmlDeviceGetNvLinkCapability, device);
    NEED(capResult);
    nvmlReturn_t r = link_check(&call, link);
    if ((unsigned)capability >= NVML_NVLINK_CAP_COUNT) return NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS) *capResult = capability != NVML_NVLINK_CAP_SLI_BRIDGE;
    return r;
}

nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned int link, nvmlNvLinkErrorCounter_t counter,
                                             unsigned long long *counterValue)
{
    static const char *const keys[NVML_NVLINK_ERROR_COUNT] = {
        [NVML_NVLINK_ERROR_DL_REPLAY] = "nvlink.replay_errors",
        [NVML_NVLINK_ERROR_DL_RECOVERY] = "nvlink.recovery_errors",
        [NVML_NVLINK_ERROR_DL_CRC_FLIT] = "nvlink.crc_flit_errors",
        [NVML_NVLINK_ERROR_DL_CRC_DATA] = "nvlink.crc_data_errors",
        [NVML_NVLINK_ERROR_DL_ECC_DATA] = "nvlink.ecc_data_errors",
    };
    ENTER_GPU(nvmlDeviceGetNvLinkErrorCounter, device);
    nvmlReturn_t r = link_check(&call, link);
    if ((unsigned)counter >= NVML_NVLINK_ERROR_COUNT) return NVML_ERROR_INVALID_ARGUMENT;
    /* The scenario counts for the GPU; the first link carries it all. */
    if (r == NVML_SUCCESS) r = give_u64(&call, keys[counter], counterValue);
    if (r == NVML_SUCCESS && link > 0) *counterValue = 0;
    return r;
}

/* The other end is a switch: its address, when the scenario names one. */
static nvmlReturn_t remote(const struct call *c, unsigned link, nvmlPciInfo_t *pci)
{
    unsigned domain, bus, device;
    NEED(pci);
    nvmlReturn_t r = link_check(c, link);
    if (r != NVML_SUCCESS) return r;
    const char *text = text_of(c->scenario, c->gpu, "nvlink.remote");
    if (!text || sscanf(text, "%x:%x:%x", &domain, &bus, &device) != 3) return NVML_ERROR_NOT_SUPPORTED;
    *pci = (nvmlPciInfo_t){.domain = domain, .bus = bus, .device = device};
    snprintf(pci->busId, sizeof pci->busId, NVML_DEVICE_PCI_BUS_ID_FMT, domain, bus, device);
    return NVML_SUCCESS;
}

#define REMOTE(fn)                                                                       \
    nvmlReturn_t fn(nvmlDevice_t device, unsigned int link, nvmlPciInfo_t *pci)          \
    {                                                                                    \
        ENTER_GPU(fn, device);                                                           \
        return remote(&call, link, pci);                                                 \
    }

REMOTE(nvmlDeviceGetNvLinkRemotePciInfo)
REMOTE(nvmlDeviceGetNvLinkRemotePciInfo_v2)

/* ---- the fabric ----------------------------------------------------------- */

struct fabric {
    unsigned char cluster[NVML_GPU_FABRIC_UUID_LEN];
    long long state, status, clique, mask, summary;
};

static nvmlReturn_t fabric(const struct call *c, struct fabric *f)
{
    *f = (struct fabric){0};
    nvmlReturn_t r = give_number(c, "fabric.state", &f->state);
    if (r != NVML_SUCCESS) return r;
    give_number(c, "fabric.status", &f->status);
    give_number(c, "fabric.clique_id", &f->clique);
    give_number(c, "fabric.health_mask", &f->mask);
    give_number(c, "fabric.health_summary", &f->summary);
    const char *text = text_of(c->scenario, c->gpu, "fabric.cluster_uuid");
    for (size_t i = 0; text && *text && i < sizeof f->cluster;) {
        unsigned byte;
        if (*text == '-') text++;
        if (sscanf(text, "%2x", &byte) != 1) break;
        f->cluster[i++] = (unsigned char)byte;
        text += text[1] ? 2 : 1;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t *info)
{
    struct fabric f;
    ENTER_GPU(nvmlDeviceGetGpuFabricInfo, device);
    NEED(info);
    nvmlReturn_t r = fabric(&call, &f);
    if (r != NVML_SUCCESS) return r;
    memcpy(info->clusterUuid, f.cluster, sizeof f.cluster);
    info->status = (nvmlReturn_t)f.status;
    info->cliqueId = (unsigned)f.clique;
    info->state = (nvmlGpuFabricState_t)f.state;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, nvmlGpuFabricInfoV_t *info)
{
    struct fabric f;
    ENTER_GPU(nvmlDeviceGetGpuFabricInfoV, device);
    NEED(info);
    /* Both versions begin with the same members; the newer one came with the
     * newer drivers. */
    bool knows_v3 = NVSIM_API >= 1300;
    if (info->version != nvmlGpuFabricInfo_v2 && !(knows_v3 && info->version == nvmlGpuFabricInfo_v3))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t r = fabric(&call, &f);
    if (r != NVML_SUCCESS) return r;
    memcpy(info->clusterUuid, f.cluster, sizeof f.cluster);
    info->status = (nvmlReturn_t)f.status;
    info->cliqueId = (unsigned)f.clique;
    info->state = (nvmlGpuFabricState_t)f.state;
    info->healthMask = (unsigned)f.mask;
    if (info->version == nvmlGpuFabricInfo_v3) info->healthSummary = (unsigned char)f.summary;
    return NVML_SUCCESS;
}

/* The members that version 1 and 2 of the structure share are all numbers of
 * the place of a GPU; of these only the module is simulated. */
nvmlReturn_t nvmlDeviceGetPlatformInfo(nvmlDevice_t device, nvmlPlatformInfo_t *info)
{
    unsigned module;
    ENTER_GPU(nvmlDeviceGetPlatformInfo, device);
    NEED(info);
    if (info->version != nvmlPlatformInfo_v2 && info->version != nvmlPlatformInfo_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    const char *serial = text_of(call.scenario, call.gpu, "platform.chassis_serial");
    nvmlReturn_t r = give_u32(&call, "module_id", &module);
    if (r != NVML_SUCCESS || !serial) return NVML_ERROR_NOT_SUPPORTED;
    unsigned version = info->version;
    memset(info, 0, sizeof *info);
    info->version = version;
    memcpy(info->chassisSerialNumber, serial, strnlen(serial, sizeof info->chassisSerialNumber));
    info->moduleId = (unsigned char)module;
    return NVML_SUCCESS;
}
