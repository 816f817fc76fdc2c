/* Finding devices, and what they are. */
#include "nvsim.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static nvmlReturn_t device_count(const struct call *c, unsigned *out)
{
    NEED(out);
    *out = c->scenario->count;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int *deviceCount)
{
    ENTER(nvmlDeviceGetCount);
    return device_count(&call, deviceCount);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount)
{
    ENTER(nvmlDeviceGetCount_v2);
    return device_count(&call, deviceCount);
}

/* Ends a look-up: gpu -1 is "there is none", which is what otherwise says. */
static nvmlReturn_t found(struct call *c, int gpu, int mig, nvmlReturn_t otherwise, nvmlDevice_t *out)
{
    nvmlReturn_t r = gpu < 0 ? call_miss(c, otherwise) : call_reach(c, gpu);
    if (r == NVML_SUCCESS) *out = device_handle(gpu, mig);
    return r;
}

static nvmlReturn_t by_index(struct call *c, unsigned index, nvmlDevice_t *out)
{
    NEED(out);
    int gpu = index < c->scenario->count ? c->scenario->order[index] : -1;
    return found(c, gpu, -1, NVML_ERROR_INVALID_ARGUMENT, out);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    CALL(call_open(&call, FN_nvmlDeviceGetHandleByIndex));
    return by_index(&call, index, device);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    CALL(call_open(&call, FN_nvmlDeviceGetHandleByIndex_v2));
    return by_index(&call, index, device);
}

static bool has_text(const struct scenario *s, int gpu, const char *key, const char *text)
{
    const char *mine = text_of(s, gpu, key);
    return mine && strcmp(mine, text) == 0;
}

/* A MIG device without an identifier of its own gets one that is stable for
 * its GPU, place and profile. */
void mig_uuid(const struct scenario *s, int gpu, int mig, char out[NVML_DEVICE_UUID_V2_BUFFER_SIZE])
{
    char key[32];
    const struct slot *slot = &s->gpus[gpu].slots[mig];
    snprintf(key, sizeof key, "mig.%d.uuid", mig);
    const char *named = text_of(s, gpu, key);
    if (named) {
        snprintf(out, NVML_DEVICE_UUID_V2_BUFFER_SIZE, "%s", named);
        return;
    }
    char seed[256];
    snprintf(seed, sizeof seed, "%s/%d/%u/%u/%s", text_of(s, gpu, "uuid"), mig, slot->gi, slot->ci, slot->profile);
    uint64_t h[2] = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};
    for (const char *p = seed; *p; p++)
        for (int i = 0; i < 2; i++) h[i] = (h[i] ^ (unsigned char)*p) * (0x100000001b3u + (unsigned)i * 2);
    snprintf(out, NVML_DEVICE_UUID_V2_BUFFER_SIZE, "MIG-%08x-%04x-5%03x-a%03x-%012llx", (unsigned)(h[0] >> 32),
             (unsigned)(h[0] >> 16) & 0xffff, (unsigned)h[0] & 0xfff, (unsigned)(h[1] >> 48) & 0xfff,
             (unsigned long long)h[1] & 0xffffffffffff);
}

static nvmlReturn_t by_uuid(struct call *c, const char *uuid, nvmlDevice_t *out)
{
    char mine[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    const struct scenario *s = c->scenario;
    NEED(uuid);
    NEED(out);
    for (unsigned i = 0; i < s->count; i++) {
        int gpu = s->order[i];
        if (has_text(s, gpu, "uuid", uuid)) return found(c, gpu, -1, NVML_SUCCESS, out);
        for (int mig = 0; mig < MAX_MIGS; mig++) {
            if (!s->gpus[gpu].slots[mig].used) continue;
            mig_uuid(s, gpu, mig, mine);
            if (strcmp(mine, uuid) == 0) return found(c, gpu, mig, NVML_SUCCESS, out);
        }
    }
    return found(c, -1, -1, NVML_ERROR_NOT_FOUND, out);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    CALL(call_open(&call, FN_nvmlDeviceGetHandleByUUID));
    return by_uuid(&call, uuid, device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t *uuid, nvmlDevice_t *device)
{
    CALL(call_open(&call, FN_nvmlDeviceGetHandleByUUIDV));
    NEED(uuid);
    if (uuid->version != nvmlUUID_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (uuid->type == NVML_UUID_TYPE_ASCII) return by_uuid(&call, uuid->value.str, device);
    char text[NVML_DEVICE_UUID_BUFFER_SIZE] = "GPU-";
    char *p = text + 4;
    for (int i = 0; i < NVML_DEVICE_UUID_BINARY_LEN; i++)
        p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid->value.bytes[i]);
    return by_uuid(&call, text, device);
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    CALL(call_open(&call, FN_nvmlDeviceGetHandleBySerial));
    NEED(serial);
    NEED(device);
    const struct scenario *s = call.scenario;
    for (unsigned i = 0; i < s->count; i++)
        if (has_text(s, s->order[i], "serial", serial)) return found(&call, s->order[i], -1, NVML_SUCCESS, device);
    return found(&call, -1, -1, NVML_ERROR_NOT_FOUND, device);
}

struct address {
    unsigned domain, bus, device;
};

static bool parse_address(const char *text, struct address *a)
{
    if (!text) return false;
    if (sscanf(text, "%x:%x:%x", &a->domain, &a->bus, &a->device) == 3) return true;
    a->domain = 0;
    return sscanf(text, "%x:%x", &a->bus, &a->device) == 2;
}

static nvmlReturn_t by_address(struct call *c, const char *text, nvmlDevice_t *out)
{
    struct address want, mine;
    const struct scenario *s = c->scenario;
    NEED(text);
    NEED(out);
    if (!parse_address(text, &want)) return found(c, -1, -1, NVML_ERROR_INVALID_ARGUMENT, out);
    for (unsigned i = 0; i < s->count; i++) {
        int gpu = s->order[i];
        if (parse_address(text_of(s, gpu, "pci.bus_id"), &mine) && memcmp(&want, &mine, sizeof mine) == 0)
            return found(c, gpu, -1, NVML_SUCCESS, out);
    }
    return found(c, -1, -1, NVML_ERROR_NOT_FOUND, out);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *pciBusId, nvmlDevice_t *device)
{
    CALL(call_open(&call, FN_nvmlDeviceGetHandleByPciBusId));
    return by_address(&call, pciBusId, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *pciBusId, nvmlDevice_t *device)
{
    CALL(call_open(&call, FN_nvmlDeviceGetHandleByPciBusId_v2));
    return by_address(&call, pciBusId, device);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    char mine[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    ENTER_ANY(nvmlDeviceGetUUID, device);
    if (call.mig < 0) return give_text(&call, "uuid", uuid, length);
    mig_uuid(call.scenario, call.gpu, call.mig, mine);
    return copy_text(mine, uuid, length);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    char mine[256];
    ENTER_ANY(nvmlDeviceGetName, device);
    if (call.mig < 0) return give_text(&call, "name", name, length);
    const char *product = text_of(call.scenario, call.gpu, "name");
    snprintf(mine, sizeof mine, "%s MIG %s", product ? product : "", call.scenario->gpus[call.gpu].slots[call.mig].profile);
    return copy_text(mine, name, length);
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    ENTER_ANY(nvmlDeviceGetIndex, device);
    NEED(index);
    *index = call.mig < 0 ? call.scenario->gpus[call.gpu].index : (unsigned)call.mig;
    return NVML_SUCCESS;
}

#define TEXT(fn, key)                                                             \
    nvmlReturn_t fn(nvmlDevice_t device, char *text, unsigned int length)         \
    {                                                                             \
        ENTER_GPU(fn, device);                                                    \
        return give_text(&call, key, text, length);                               \
    }

TEXT(nvmlDeviceGetSerial, "serial")
TEXT(nvmlDeviceGetBoardPartNumber, "board_part_number")
TEXT(nvmlDeviceGetVbiosVersion, "vbios_version")
TEXT(nvmlDeviceGetInforomImageVersion, "inforom_version")

NUMBER(nvmlDeviceGetMinorNumber, unsigned int, "minor_number")
NUMBER(nvmlDeviceGetBrand, nvmlBrandType_t, "brand")
NUMBER(nvmlDeviceGetArchitecture, nvmlDeviceArchitecture_t, "architecture")
NUMBER(nvmlDeviceGetBoardId, unsigned int, "board_id")
NUMBER(nvmlDeviceGetMultiGpuBoard, unsigned int, "multi_gpu_board")
NUMBER(nvmlDeviceGetModuleId, unsigned int, "module_id")
NUMBER(nvmlDeviceGetIrqNum, unsigned int, "irq")

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    ENTER_ANY(nvmlDeviceGetCudaComputeCapability, device);
    NEED(major);
    NEED(minor);
    const char *text = text_of(call.scenario, call.gpu, "compute_capability");
    return text && sscanf(text, "%d.%d", major, minor) == 2 ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *version)
{
    ENTER_GPU(nvmlDeviceGetGspFirmwareVersion, device);
    return give_text(&call, "gsp.version", version, NVML_GSP_FIRMWARE_VERSION_BUF_SIZE);
}

nvmlReturn_t nvmlDeviceGetGspFirmwareMode(nvmlDevice_t device, unsigned int *isEnabled, unsigned int *defaultMode)
{
    ENTER_GPU(nvmlDeviceGetGspFirmwareMode, device);
    NEED(defaultMode);
    nvmlReturn_t r = give_u32(&call, "gsp.enabled", isEnabled);
    if (r == NVML_SUCCESS) *defaultMode = *isEnabled;
    return r;
}

static nvmlReturn_t pci_info(const struct call *c, nvmlPciInfo_t *out)
{
    struct address a;
    long long vendor = 0x10de, device = 0, board_vendor = 0x10de, board = 0;
    NEED(out);
    if (!parse_address(text_of(c->scenario, c->gpu, "pci.bus_id"), &a)) return NVML_ERROR_NOT_SUPPORTED;
    number_of(c->scenario, c->gpu, "pci.vendor", &vendor);
    number_of(c->scenario, c->gpu, "pci.device", &device);
    number_of(c->scenario, c->gpu, "pci.subsystem_vendor", &board_vendor);
    number_of(c->scenario, c->gpu, "pci.subsystem_device", &board);
    memset(out, 0, sizeof *out);
    out->domain = a.domain;
    out->bus = a.bus;
    out->device = a.device;
    out->pciDeviceId = (unsigned)(device << 16 | vendor);
    out->pciSubSystemId = (unsigned)(board << 16 | board_vendor);
    snprintf(out->busIdLegacy, sizeof out->busIdLegacy, NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT, a.domain & 0xffff, a.bus & 0xff,
             a.device & 0x1f);
    snprintf(out->busId, sizeof out->busId, NVML_DEVICE_PCI_BUS_ID_FMT, a.domain, a.bus, a.device);
    return NVML_SUCCESS;
}

#define PCI_INFO(fn)                                               \
    nvmlReturn_t fn(nvmlDevice_t device, nvmlPciInfo_t *pci)       \
    {                                                              \
        ENTER_GPU(fn, device);                                     \
        return pci_info(&call, pci);                               \
    }

PCI_INFO(nvmlDeviceGetPciInfo)
PCI_INFO(nvmlDeviceGetPciInfo_v2)
PCI_INFO(nvmlDeviceGetPciInfo_v3)

nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_t *pci)
{
    nvmlPciInfo_t info;
    long long class = 0x030200;
    ENTER_GPU(nvmlDeviceGetPciInfoExt, device);
    NEED(pci);
    if (pci->version != nvmlPciInfoExt_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t r = pci_info(&call, &info);
    if (r != NVML_SUCCESS) return r;
    number_of(call.scenario, call.gpu, "pci.class", &class);
    *pci = (nvmlPciInfoExt_t){.version = nvmlPciInfoExt_v1, .domain = info.domain, .bus = info.bus, .device = info.device,
                              .pciDeviceId = info.pciDeviceId, .pciSubSystemId = info.pciSubSystemId,
                              .baseClass = (unsigned)class >> 16, .subClass = (unsigned)class >> 8 & 0xff};
    memcpy(pci->busId, info.busId, sizeof pci->busId);
    return NVML_SUCCESS;
}
