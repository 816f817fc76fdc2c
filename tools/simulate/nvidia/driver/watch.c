/* Which machine this is, and its scenario file: found next to the library,
 * looked at again while calls come in. */
#define _GNU_SOURCE
#include "nvsim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How old an answer of stat may be. Short enough to feel immediate, long
 * enough that a burst of calls does not pay a system call each. */
#define LOOK_AGAIN_NS 20000000LL
#define LARGEST_SCENARIO (16 << 20)

static char directory[PATH_MAX];
static char scenario_path[PATH_MAX + 16];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All below is guarded by the lock. */
static struct scenario *current;
static struct stat seen;
static bool present;
static long long looked_at;
/* The driver version that this library belongs to. A library cannot change
 * while it is loaded, so it is the first version that the process saw. */
static char library_version[64];

static void find_directory(void)
{
    const char *named = getenv("NVSIM_DIR");
    char resolved[PATH_MAX];
    Dl_info info;
    if (named && *named && realpath(named, resolved)) {
        memcpy(directory, resolved, sizeof resolved);
    } else if (dladdr((void *)&lock, &info) && info.dli_fname && realpath(info.dli_fname, resolved)) {
        char *slash = strrchr(resolved, '/');
        if (slash) slash[slash == resolved] = '\0';
        memcpy(directory, resolved, sizeof resolved);
    }
    snprintf(scenario_path, sizeof scenario_path, "%s/scenario", directory);
}

/* At load time, because a relative path means something else after a chdir. */
__attribute__((constructor)) static void start(void)
{
    find_directory();
}

const char *machine_directory(void)
{
    return directory;
}

static long long monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static char *read_file(const char *path, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    char *text = NULL;
    if (fstat(fd, st) == 0 && st->st_size >= 0 && st->st_size < LARGEST_SCENARIO) text = malloc((size_t)st->st_size + 1);
    size_t length = 0;
    while (text && length < (size_t)st->st_size) {
        ssize_t n = read(fd, text + length, (size_t)st->st_size - length);
        if (n <= 0) break;
        length += (size_t)n;
    }
    if (text) text[length] = '\0';
    close(fd);
    return text;
}

static void drop(struct scenario *s)
{
    if (s && --s->references == 0) scenario_free(s);
}

static void replace(struct scenario *s)
{
    if (!s) return;
    s->references = 1; /* that of current */
    drop(current);
    current = s;
    const char *version = text_of(s, -1, "driver.version");
    if (!library_version[0] && version) snprintf(library_version, sizeof library_version, "%s", version);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void look(void)
{
    struct stat st;
    if (stat(scenario_path, &st) != 0) {
        /* No scenario is a machine without a driver. */
        if (present || !current) replace(scenario_parse(calloc(1, 1)));
        present = false;
        return;
    }
    if (present && same_file(&st, &seen)) return;
    char *text = read_file(scenario_path, &st);
    if (!text) return;
    seen = st;
    present = true;
    replace(scenario_parse(text));
}

static struct scenario *acquire(bool fresh)
{
    long long now = monotonic_ns();
    pthread_mutex_lock(&lock);
    if (fresh || !current || now - looked_at >= LOOK_AGAIN_NS) {
        looked_at = now;
        look();
    }
    struct scenario *s = current;
    if (s) s->references++;
    pthread_mutex_unlock(&lock);
    return s;
}

struct scenario *scenario_acquire(void)
{
    return acquire(false);
}

struct scenario *scenario_acquire_fresh(void)
{
    return acquire(true);
}

void scenario_release(struct scenario *s)
{
    pthread_mutex_lock(&lock);
    drop(s);
    pthread_mutex_unlock(&lock);
}

bool driver_differs(const struct scenario *s)
{
    char mine[sizeof library_version];
    const char *kernel = text_of(s, -1, "driver.version");
    const char *named = text_of(s, -1, "library.version");
    if (!kernel) return false;
    if (named) return strcmp(named, kernel) != 0;
    pthread_mutex_lock(&lock);
    memcpy(mine, library_version, sizeof mine);
    pthread_mutex_unlock(&lock);
    return strcmp(mine, kernel) != 0;
}
