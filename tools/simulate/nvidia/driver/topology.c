/* Where a GPU sits in the machine, and how two GPUs reach each other. */
#include "nvsim.h"

#include <stdlib.h>
#include <string.h>

#define BITS (8 * sizeof(unsigned long))

/* The NUMA node that a GPU with memory of its own address space is. */
NUMBER(nvmlDeviceGetNumaNodeId, unsigned int, "gpu_numa_node")

nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int nodeSetSize, unsigned long *nodeSet,
                                         nvmlAffinityScope_t scope)
{
    unsigned node;
    ENTER_GPU(nvmlDeviceGetMemoryAffinity, device);
    NEED(nodeSet);
    if (nodeSetSize == 0 || scope > NVML_AFFINITY_SCOPE_SOCKET) return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t r = give_u32(&call, "numa_node", &node);
    if (r != NVML_SUCCESS || node >= nodeSetSize * BITS) return NVML_ERROR_NOT_SUPPORTED;
    memset(nodeSet, 0, nodeSetSize * sizeof *nodeSet);
    nodeSet[node / BITS] |= 1UL << node % BITS;
    return NVML_SUCCESS;
}

/* "0-55,112-167" into a set of bits. */
static nvmlReturn_t affinity(const struct call *c, unsigned size, unsigned long *set)
{
    const char *text = text_of(c->scenario, c->gpu, "cpus");
    NEED(set);
    if (size == 0) return NVML_ERROR_INVALID_ARGUMENT;
    if (!text) return NVML_ERROR_NOT_SUPPORTED;
    memset(set, 0, size * sizeof *set);
    while (*text) {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (end == text) break;
        if (*end == '-') last = strtoul(end + 1, &end, 10);
        for (unsigned long cpu = first; cpu <= last && cpu < size * BITS; cpu++) set[cpu / BITS] |= 1UL << cpu % BITS;
        text = end + (*end == ',');
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int cpuSetSize, unsigned long *cpuSet)
{
    ENTER_GPU(nvmlDeviceGetCpuAffinity, device);
    return affinity(&call, cpuSetSize, cpuSet);
}

nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int cpuSetSize, unsigned long *cpuSet,
                                                 nvmlAffinityScope_t scope)
{
    ENTER_GPU(nvmlDeviceGetCpuAffinityWithinScope, device);
    if (scope > NVML_AFFINITY_SCOPE_SOCKET) return NVML_ERROR_INVALID_ARGUMENT;
    return affinity(&call, cpuSetSize, cpuSet);
}

static bool other_gpu(const struct call *c, nvmlDevice_t device, int *gpu)
{
    int mig;
    return device_decode(device, gpu, &mig) && mig < 0 && c->scenario->gpus[*gpu].present;
}

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t device1, nvmlDevice_t device2, nvmlGpuTopologyLevel_t *pathInfo)
{
    int other;
    long long a = -1, b = -1;
    ENTER_GPU(nvmlDeviceGetTopologyCommonAncestor, device1);
    NEED(pathInfo);
    if (!other_gpu(&call, device2, &other)) return NVML_ERROR_INVALID_ARGUMENT;
    number_of(call.scenario, call.gpu, "numa_node", &a);
    number_of(call.scenario, other, "numa_node", &b);
    *pathInfo = call.gpu == other ? NVML_TOPOLOGY_INTERNAL : a == b ? NVML_TOPOLOGY_NODE : NVML_TOPOLOGY_SYSTEM;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t device1, nvmlDevice_t device2, nvmlGpuP2PCapsIndex_t p2pIndex,
                                    nvmlGpuP2PStatus_t *p2pStatus)
{
    int other;
    ENTER_GPU(nvmlDeviceGetP2PStatus, device1);
    NEED(p2pStatus);
    if (!other_gpu(&call, device2, &other)) return NVML_ERROR_INVALID_ARGUMENT;
    bool linked = text_of(call.scenario, call.gpu, "nvlink.links") && text_of(call.scenario, other, "nvlink.links");
    bool possible = p2pIndex == NVML_P2P_CAPS_INDEX_READ || p2pIndex == NVML_P2P_CAPS_INDEX_WRITE || linked;
    *p2pStatus = possible && !call.scenario->gpus[call.gpu].mig ? NVML_P2P_STATUS_OK : NVML_P2P_STATUS_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t device1, nvmlDevice_t device2, int *onSameBoard)
{
    int other;
    long long a = -1, b = -2;
    ENTER_GPU(nvmlDeviceOnSameBoard, device1);
    NEED(onSameBoard);
    if (!other_gpu(&call, device2, &other)) return NVML_ERROR_INVALID_ARGUMENT;
    number_of(call.scenario, call.gpu, "board_id", &a);
    number_of(call.scenario, other, "board_id", &b);
    *onSameBoard = call.gpu == other || a == b;
    return NVML_SUCCESS;
}
