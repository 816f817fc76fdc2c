/* The call counters: a file that every process with this library maps, so that
 * a test can read (and reset) them while a plugin runs.
 *
 * Layout: one 64-byte record per function: name (56 bytes, NUL padded) and a
 * native 64-bit count. */
#include "nvsim.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct record {
    char name[56];
    unsigned long long count;
};

_Static_assert(sizeof(struct record) == 64, "the layout is read by others");

const char *const function_names[FUNCTIONS] = {
#define FUNCTION(name, since) #name,
#include "functions.def"
#undef FUNCTION
};

static struct record private_records[FUNCTIONS];
static struct record *records = private_records;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool named(const struct record *r)
{
    for (int i = 0; i < FUNCTIONS; i++)
        if (strncmp(r[i].name, function_names[i], sizeof r[i].name) != 0) return false;
    return true;
}

/* Without a writable directory the counts stay in the process: counting must
 * never be the reason for which a driver does not work. */
static void map_records(void)
{
    char path[PATH_MAX + 8];
    struct stat st;
    snprintf(path, sizeof path, "%s/calls", machine_directory());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return;
    /* Two processes may come at once; the second finds the names written. */
    flock(fd, LOCK_EX);
    if (fstat(fd, &st) == 0 && (st.st_size == sizeof private_records || ftruncate(fd, sizeof private_records) == 0)) {
        void *p = mmap(NULL, sizeof private_records, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED) {
            struct record *shared = p;
            if (!named(shared)) {
                memset(shared, 0, sizeof private_records);
                for (int i = 0; i < FUNCTIONS; i++)
                    memcpy(shared[i].name, function_names[i], strlen(function_names[i]));
            }
            records = shared;
        }
    }
    flock(fd, LOCK_UN);
    close(fd);
}

void count_call(enum function fn)
{
    pthread_once(&once, map_records);
    __atomic_fetch_add(&records[fn].count, 1, __ATOMIC_RELAXED);
}
