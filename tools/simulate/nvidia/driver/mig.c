/* MIG: the mode, the devices on a GPU, their instances and profiles.
 *
 * The layout belongs to the scenario. Functions that would change it refuse, as
 * the driver refuses them to a program without the right to do so. */
#include "nvsim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "mig.profile.1g.10gb = id=19 slices=1 instances=7 sms=14 memory=9728 ..." */
bool mig_profile_number(const struct scenario *s, int gpu, const char *profile, const char *name, long long *out)
{
    char key[96];
    snprintf(key, sizeof key, "mig.profile.%s", gpu_instance_profile(profile));
    return word_of(text_of(s, gpu, key), name, out);
}

/* "1c.3g.40gb" is one of the compute instances in a "3g.40gb". */
const char *gpu_instance_profile(const char *profile)
{
    const char *dot = strchr(profile, '.');
    return dot && dot > profile && dot[-1] == 'c' ? dot + 1 : profile;
}

unsigned mig_slices(const char *profile, char unit)
{
    if (unit == 'g') profile = gpu_instance_profile(profile);
    return (unsigned)atoi(profile);
}

/* What calls that know no MIG devices say differs between driver versions, so
 * that the scenario may choose. */
nvmlReturn_t mig_unsupported(const struct scenario *s)
{
    long long n;
    return number_of(s, -1, "mig.unsupported_return", &n) ? (nvmlReturn_t)n : NVML_ERROR_NOT_SUPPORTED;
}

bool mig_any(const struct gpu *g)
{
    for (int i = 0; i < MAX_MIGS; i++)
        if (g->slots[i].used) return true;
    return false;
}

static const struct gpu *gpu_of(const struct call *c)
{
    return &c->scenario->gpus[c->gpu];
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *currentMode, unsigned int *pendingMode)
{
    ENTER_GPU(nvmlDeviceGetMigMode, device);
    NEED(pendingMode);
    nvmlReturn_t r = give_u32(&call, "mig.mode", currentMode);
    if (r == NVML_SUCCESS && give_u32(&call, "mig.pending", pendingMode) != NVML_SUCCESS) *pendingMode = *currentMode;
    return r;
}

nvmlReturn_t nvmlDeviceSetMigMode(nvmlDevice_t device, unsigned int mode, nvmlReturn_t *activationStatus)
{
    (void)mode;
    ENTER_GPU(nvmlDeviceSetMigMode, device);
    NEED(activationStatus);
    return text_of(call.scenario, call.gpu, "mig.mode") ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    ENTER_GPU(nvmlDeviceGetMaxMigDeviceCount, device);
    NEED(count);
    *count = 0;
    if (!gpu_of(&call)->mig) return NVML_SUCCESS;
    if (give_u32(&call, "mig.max", count) != NVML_SUCCESS) *count = 7;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *migDevice)
{
    ENTER_GPU(nvmlDeviceGetMigDeviceHandleByIndex, device);
    NEED(migDevice);
    if (!text_of(call.scenario, call.gpu, "mig.mode")) return NVML_ERROR_NOT_SUPPORTED;
    if (index >= MAX_MIGS || !gpu_of(&call)->slots[index].used) return NVML_ERROR_NOT_FOUND;
    *migDevice = device_handle(call.gpu, (int)index);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t migDevice, nvmlDevice_t *device)
{
    ENTER_MIG(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, migDevice);
    NEED(device);
    *device = device_handle(call.gpu, -1);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *isMigDevice)
{
    ENTER_ANY(nvmlDeviceIsMigDeviceHandle, device);
    NEED(isMigDevice);
    *isMigDevice = call.mig >= 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id)
{
    ENTER_MIG(nvmlDeviceGetGpuInstanceId, device);
    NEED(id);
    *id = gpu_of(&call)->slots[call.mig].gi;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id)
{
    ENTER_MIG(nvmlDeviceGetComputeInstanceId, device);
    NEED(id);
    *id = gpu_of(&call)->slots[call.mig].ci;
    return NVML_SUCCESS;
}

static unsigned profile_number(const struct call *c, const char *profile, const char *name)
{
    long long n = 0;
    mig_profile_number(c->scenario, c->gpu, profile, name, &n);
    return (unsigned)n;
}

static nvmlReturn_t attributes(const struct call *c, nvmlDeviceAttributes_t *out)
{
    NEED(out);
    const char *profile = gpu_of(c)->slots[c->mig].profile;
    unsigned gi = mig_slices(profile, 'g'), ci = mig_slices(profile, 'c');
    unsigned sms = profile_number(c, profile, "sms");
    *out = (nvmlDeviceAttributes_t){
        .multiprocessorCount = gi ? sms * ci / gi : sms,
        .sharedCopyEngineCount = profile_number(c, profile, "ce"),
        .sharedDecoderCount = profile_number(c, profile, "dec"),
        .sharedEncoderCount = profile_number(c, profile, "enc"),
        .sharedJpegCount = profile_number(c, profile, "jpg"),
        .sharedOfaCount = profile_number(c, profile, "ofa"),
        .gpuInstanceSliceCount = gi,
        .computeInstanceSliceCount = ci,
        .memorySizeMB = profile_number(c, profile, "memory"),
    };
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t *out)
{
    ENTER_MIG(nvmlDeviceGetAttributes, device);
    return attributes(&call, out);
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *out)
{
    ENTER_MIG(nvmlDeviceGetAttributes_v2, device);
    return attributes(&call, out);
}

/* The name of the profile with NVML's number (NVML_GPU_INSTANCE_PROFILE_...):
 * the word "profile=" of its line. */
static const char *profile_by(const struct call *c, const char *word, unsigned wanted)
{
    static const char prefix[] = "mig.profile.";
    const struct table *tables[] = {&gpu_of(c)->own, &c->scenario->every};
    for (int t = 0; t < 2; t++) {
        for (int i = 0; i < tables[t]->count; i++) {
            const struct pair *p = &tables[t]->pairs[i];
            long long n;
            if (strncmp(p->key, prefix, sizeof prefix - 1) != 0) continue;
            if (word_of(p->value, word, &n) && (unsigned)n == wanted) return p->key + sizeof prefix - 1;
        }
    }
    return NULL;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t device, unsigned int profile, nvmlGpuInstanceProfileInfo_t *info)
{
    ENTER_GPU(nvmlDeviceGetGpuInstanceProfileInfo, device);
    NEED(info);
    const char *name = profile_by(&call, "profile", profile);
    if (!name) return NVML_ERROR_NOT_SUPPORTED;
    *info = (nvmlGpuInstanceProfileInfo_t){
        .id = profile_number(&call, name, "id"),
        .sliceCount = mig_slices(name, 'g'),
        .instanceCount = profile_number(&call, name, "instances"),
        .multiprocessorCount = profile_number(&call, name, "sms"),
        .copyEngineCount = profile_number(&call, name, "ce"),
        .decoderCount = profile_number(&call, name, "dec"),
        .encoderCount = profile_number(&call, name, "enc"),
        .jpegCount = profile_number(&call, name, "jpg"),
        .ofaCount = profile_number(&call, name, "ofa"),
        .memorySizeMB = profile_number(&call, name, "memory"),
    };
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoV(nvmlDevice_t device, unsigned int profile,
                                                  nvmlGpuInstanceProfileInfo_v2_t *info)
{
    ENTER_GPU(nvmlDeviceGetGpuInstanceProfileInfoV, device);
    NEED(info);
    if (info->version != nvmlGpuInstanceProfileInfo_v2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    const char *name = profile_by(&call, "profile", profile);
    if (!name) return NVML_ERROR_NOT_SUPPORTED;
    *info = (nvmlGpuInstanceProfileInfo_v2_t){
        .version = nvmlGpuInstanceProfileInfo_v2,
        .id = profile_number(&call, name, "id"),
        .sliceCount = mig_slices(name, 'g'),
        .instanceCount = profile_number(&call, name, "instances"),
        .multiprocessorCount = profile_number(&call, name, "sms"),
        .copyEngineCount = profile_number(&call, name, "ce"),
        .decoderCount = profile_number(&call, name, "dec"),
        .encoderCount = profile_number(&call, name, "enc"),
        .jpegCount = profile_number(&call, name, "jpg"),
        .ofaCount = profile_number(&call, name, "ofa"),
        .memorySizeMB = profile_number(&call, name, "memory"),
    };
    snprintf(info->name, sizeof info->name, "MIG %s", name);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceCreateGpuInstance(nvmlDevice_t device, unsigned int profileId, nvmlGpuInstance_t *gpuInstance)
{
    (void)profileId;
    ENTER_GPU(nvmlDeviceCreateGpuInstance, device);
    NEED(gpuInstance);
    return gpu_of(&call)->mig ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_NOT_SUPPORTED;
}

/* An instance is named by the handle of its first slot: both live as long. */
static nvmlGpuInstance_t instance_of(int gpu, int slot)
{
    return (nvmlGpuInstance_t){(struct nvmlGpuInstance_st *)device_handle(gpu, slot).handle};
}

static nvmlDevice_t device_of(nvmlGpuInstance_t instance)
{
    return (nvmlDevice_t){(struct nvmlDevice_st *)instance.handle};
}

static int first_slot(const struct gpu *g, unsigned gi)
{
    for (int i = 0; i < MAX_MIGS; i++)
        if (g->slots[i].used && g->slots[i].gi == gi) return i;
    return -1;
}

nvmlReturn_t nvmlDeviceGetGpuInstances(nvmlDevice_t device, unsigned int profileId, nvmlGpuInstance_t *gpuInstances,
                                       unsigned int *count)
{
    ENTER_GPU(nvmlDeviceGetGpuInstances, device);
    NEED(gpuInstances);
    NEED(count);
    const struct gpu *g = gpu_of(&call);
    if (!g->mig) return NVML_ERROR_NOT_SUPPORTED;
    *count = 0;
    for (int i = 0; i < MAX_MIGS; i++)
        if (g->slots[i].used && first_slot(g, g->slots[i].gi) == i &&
            profile_number(&call, g->slots[i].profile, "id") == profileId)
            gpuInstances[(*count)++] = instance_of(call.gpu, i);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *gpuInstance)
{
    ENTER_GPU(nvmlDeviceGetGpuInstanceById, device);
    NEED(gpuInstance);
    if (!gpu_of(&call)->mig) return NVML_ERROR_NOT_SUPPORTED;
    int slot = first_slot(gpu_of(&call), id);
    if (slot < 0) return NVML_ERROR_NOT_FOUND;
    *gpuInstance = instance_of(call.gpu, slot);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpuInstanceDestroy(nvmlGpuInstance_t gpuInstance)
{
    ENTER_MIG(nvmlGpuInstanceDestroy, device_of(gpuInstance));
    return NVML_ERROR_NO_PERMISSION;
}

/* Slices are handed out from 0 in the order of the slots. */
static unsigned placement(const struct gpu *g, int slot)
{
    unsigned start = 0;
    for (int i = 0; i < slot; i++)
        if (g->slots[i].used && first_slot(g, g->slots[i].gi) == i) start += mig_slices(g->slots[i].profile, 'g');
    return start;
}

nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t gpuInstance, nvmlGpuInstanceInfo_t *info)
{
    ENTER_MIG(nvmlGpuInstanceGetInfo, device_of(gpuInstance));
    NEED(info);
    const struct slot *slot = &gpu_of(&call)->slots[call.mig];
    *info = (nvmlGpuInstanceInfo_t){
        .device = device_handle(call.gpu, -1),
        .id = slot->gi,
        .profileId = profile_number(&call, slot->profile, "id"),
        .placement = {placement(gpu_of(&call), call.mig), mig_slices(slot->profile, 'g')},
    };
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstanceById(nvmlGpuInstance_t gpuInstance, unsigned int id,
                                                   nvmlComputeInstance_t *computeInstance)
{
    ENTER_MIG(nvmlGpuInstanceGetComputeInstanceById, device_of(gpuInstance));
    NEED(computeInstance);
    const struct gpu *g = gpu_of(&call);
    for (int i = 0; i < MAX_MIGS; i++) {
        if (!g->slots[i].used || g->slots[i].gi != g->slots[call.mig].gi || g->slots[i].ci != id) continue;
        *computeInstance = (nvmlComputeInstance_t){(struct nvmlComputeInstance_st *)device_handle(call.gpu, i).handle};
        return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

static nvmlReturn_t compute_instance(const struct call *c, nvmlComputeInstanceInfo_t *info)
{
    NEED(info);
    const struct slot *slot = &gpu_of(c)->slots[c->mig];
    *info = (nvmlComputeInstanceInfo_t){
        .device = device_handle(c->gpu, -1),
        .gpuInstance = instance_of(c->gpu, first_slot(gpu_of(c), slot->gi)),
        .id = slot->ci,
        .placement = {slot->ci, mig_slices(slot->profile, 'c')},
    };
    return NVML_SUCCESS;
}

#define COMPUTE_INSTANCE(fn)                                                                      \
    nvmlReturn_t fn(nvmlComputeInstance_t computeInstance, nvmlComputeInstanceInfo_t *info)       \
    {                                                                                             \
        ENTER_MIG(fn, ((nvmlDevice_t){(struct nvmlDevice_st *)computeInstance.handle}));          \
        return compute_instance(&call, info);                                                     \
    }

COMPUTE_INSTANCE(nvmlComputeInstanceGetInfo)
COMPUTE_INSTANCE(nvmlComputeInstanceGetInfo_v2)
