/*
 * Loaded before the C library: counts how often the files of one SQLite store were written and synced, and kills the
 * process at the n-th time. SQLite puts a transaction into the write-ahead log with several writes and one sync, so the
 * syncs number the transactions.
 *
 * POWER_CUT_STORE    the store's file
 * POWER_CUT_CONTROL  24 bytes that are shared with whoever watches: syncs so far, and the numbers of the sync before
 *                    which and after which the process dies (0: never)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct control {
    _Atomic uint64_t syncs;
    _Atomic uint64_t before;
    _Atomic uint64_t after;
};

static struct control *control;
static const char *store;

__attribute__((constructor)) static void set_up(void) {
    const char *path = getenv("POWER_CUT_CONTROL");
    store = getenv("POWER_CUT_STORE");
    if (path == NULL || store == NULL)
        return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *shared = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED)
        control = shared;
}

static int is_of_store(int file) {
    char link[64], path[PATH_MAX];
    if (control == NULL)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    size_t known = strlen(store);
    return strncmp(path, store, known) == 0 && (path[known] == 0 || strcmp(path + known, "-wal") == 0);
}

static void cut_power(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void written(int file) {
    if (is_of_store(file) && control->syncs + 1 == control->before)
        cut_power();
}

static int synced(int file, int (*really)(int)) {
    if (!is_of_store(file))
        return really(file);
    if (control->syncs + 1 == control->before)
        cut_power();
    int answer = really(file);
    if (++control->syncs == control->after)
        cut_power();
    return answer;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    static __typeof__(&write) really;
    if (really == NULL)
        really = REAL(write);
    ssize_t answer = really(file, bytes, count);
    written(file);
    return answer;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    static __typeof__(&pwrite) really;
    if (really == NULL)
        really = REAL(pwrite);
    ssize_t answer = really(file, bytes, count, offset);
    written(file);
    return answer;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    static __typeof__(&pwrite64) really;
    if (really == NULL)
        really = REAL(pwrite64);
    ssize_t answer = really(file, bytes, count, offset);
    written(file);
    return answer;
}

int fsync(int file) { return synced(file, REAL(fsync)); }

int fdatasync(int file) { return synced(file, REAL(fdatasync)); }
