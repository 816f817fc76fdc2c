/* Processes on a GPU: "process.N = compute pid=4242 memory=2GiB gi=1 ci=0".
 * The first word is compute, graphics or mps. sm=, mem=, enc= and dec= are its
 * use of the engines in percent. */
#include "nvsim.h"

#include <stdio.h>
#include <string.h>

#define NO_INSTANCE 0xFFFFFFFFu
#define MAX_PROCESSES 64

struct process {
    unsigned pid, gi, ci;
    unsigned long long memory;
    const char *text;
};

/* Those of one kind (NULL: of any) that the called device may see. */
static unsigned processes(const struct call *c, const char *kind, struct process out[MAX_PROCESSES])
{
    unsigned count = 0;
    const struct gpu *g = &c->scenario->gpus[c->gpu];
    for (int i = 0; i < g->own.count && count < MAX_PROCESSES; i++) {
        const char *text = g->own.pairs[i].value;
        struct process p = {.gi = NO_INSTANCE, .ci = NO_INSTANCE, .text = text};
        long long n;
        if (strncmp(g->own.pairs[i].key, "process.", 8) != 0) continue;
        if (kind && (strncmp(text, kind, strlen(kind)) != 0 || text[strlen(kind)] != ' ')) continue;
        if (!word_of(text, "pid", &n)) continue;
        p.pid = (unsigned)n;
        if (word_of(text, "memory", &n)) p.memory = (unsigned long long)n;
        if (word_of(text, "gi", &n)) p.gi = (unsigned)n;
        if (word_of(text, "ci", &n)) p.ci = (unsigned)n;
        if (c->mig >= 0 && (p.gi != g->slots[c->mig].gi || p.ci != g->slots[c->mig].ci)) continue;
        out[count++] = p;
    }
    return count;
}

/* Version 1 of the entry ends before the instances; 2 and 3 are the same. */
static nvmlReturn_t list(const struct call *c, const char *kind, unsigned *count, void *infos, bool first_version)
{
    struct process found[MAX_PROCESSES];
    NEED(count);
    if (!truth_of(c->scenario, c->gpu, "processes", true)) return NVML_ERROR_NOT_SUPPORTED;
    unsigned room = *count, n = processes(c, kind, found);
    *count = n;
    if (n == 0) return NVML_SUCCESS;
    if (room < n) return NVML_ERROR_INSUFFICIENT_SIZE;
    NEED(infos);
    for (unsigned i = 0; i < n; i++) {
        if (first_version)
            ((nvmlProcessInfo_v1_t *)infos)[i] = (nvmlProcessInfo_v1_t){found[i].pid, found[i].memory};
        else
            ((nvmlProcessInfo_t *)infos)[i] = (nvmlProcessInfo_t){found[i].pid, found[i].memory, found[i].gi, found[i].ci};
    }
    return NVML_SUCCESS;
}

#define LIST(fn, type, kind, first_version)                                            \
    nvmlReturn_t fn(nvmlDevice_t device, unsigned int *infoCount, type *infos)         \
    {                                                                                  \
        ENTER_ANY(fn, device);                                                         \
        return list(&call, kind, infoCount, infos, first_version);                     \
    }

LIST(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t, "compute", true)
LIST(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, "compute", false)
LIST(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_t, "compute", false)
LIST(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t, "graphics", true)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t, "graphics", false)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_t, "graphics", false)
LIST(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t, "mps", true)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, "mps", false)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_t, "mps", false)

static unsigned percent(const struct process *p, const char *name)
{
    long long n = 0;
    word_of(p->text, name, &n);
    return (unsigned)n;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *utilization,
                                             unsigned int *processSamplesCount, unsigned long long lastSeenTimeStamp)
{
    struct process found[MAX_PROCESSES];
    unsigned used = 0;
    ENTER_GPU(nvmlDeviceGetProcessUtilization, device);
    NEED(processSamplesCount);
    if (call.scenario->gpus[call.gpu].mig || !text_of(call.scenario, call.gpu, "utilization.gpu")) return NVML_ERROR_NOT_SUPPORTED;
    unsigned room = *processSamplesCount, n = processes(&call, NULL, found);
    unsigned long long now = wall_us();
    /* Samples are for those that did something. */
    for (unsigned i = 0; i < n; i++) {
        const struct process *p = &found[i];
        if (percent(p, "sm") + percent(p, "mem") + percent(p, "enc") + percent(p, "dec") > 0) found[used++] = *p;
    }
    *processSamplesCount = used;
    if (!utilization || room < used) return NVML_ERROR_INSUFFICIENT_SIZE;
    if (used == 0 || now <= lastSeenTimeStamp) return NVML_ERROR_NOT_FOUND;
    for (unsigned i = 0; i < used; i++)
        utilization[i] = (nvmlProcessUtilizationSample_t){
            .pid = found[i].pid,
            .timeStamp = now,
            .smUtil = percent(&found[i], "sm"),
            .memUtil = percent(&found[i], "mem"),
            .encUtil = percent(&found[i], "enc"),
            .decUtil = percent(&found[i], "dec"),
        };
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    char path[40], comm[64];
    ENTER(nvmlSystemGetProcessName);
    NEED(name);
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f) return NVML_ERROR_NOT_FOUND;
    bool read = fgets(comm, sizeof comm, f) != NULL;
    fclose(f);
    if (!read || length == 0) return read ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_ERROR_NOT_FOUND;
    comm[strcspn(comm, "\n")] = '\0';
    snprintf(name, length, "%s", comm);
    return NVML_SUCCESS;
}
