/* File calls of this process, seen beneath Python, DuckDB, SQLite and Arrow: a library to preload.

   Until it is armed every call goes straight through. A process arms it for itself (file_calls.py does,
   in a fork) with a folder, kinds of calls, a pattern of paths in that folder, and what happens at the
   n-th call that matches: the process is killed before it, half of a write is done and the process
   killed, or the call fails with an errno, once, or from then on whatever needs space, as on a full
   disk. Without an action, calls are only listed. A line is written to `log` for each listed call and for the one at which it happened. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* as file_calls.py has them */
enum { OPEN = 1, WRITE = 2, RENAME = 4, UNLINK = 8, FSYNC = 16, TRUNCATE = 32, MKDIR = 64, READ = 128 };
enum { LIST = 0, KILL = 1, TEAR = 2, FAIL = 3, FAIL_ON = 4 };
static const char *const NAMES[] = {"open", "write", "rename", "unlink", "fsync", "truncate", "mkdir", "read"};

static char root[PATH_MAX], glob[PATH_MAX];
static size_t root_length;
static int kinds, action, error, log_fd;
static long nth;
static atomic_long count;
static atomic_int armed, failing;

void file_calls_arm(const char *folder, int of, const char *pattern, long n, int what, int number, int log) {
    snprintf(root, sizeof root, "%s", folder);
    snprintf(glob, sizeof glob, "%s", pattern);
    root_length = strlen(root);
    kinds = of, nth = n, action = what, error = number, log_fd = log;
    count = 0;
    failing = 0;
    armed = 1;
}

void file_calls_disarm(void) { armed = 0; }

static void note(const char *what, int kind, const char *path) {
    char line[PATH_MAX + 64];
    int bit = 0;
    while (!(kind >> bit & 1)) bit++;
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, NAMES[bit], path);
    /* the system call, not the function: that one is ours */
    if (syscall(SYS_write, log_fd, line, length)) {}
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

/* 0: the call goes on; 1: it fails, errno is set; 2: half of it is done, and then the process dies */
static int met(int kind, const char *path, int creates) {
    if (strncmp(path, root, root_length) || path[root_length] != '/') return 0;
    path += root_length + 1;
    if (action == FAIL_ON && failing) {
        /* as a full disk: it opens, renames and removes what is there */
        if (!(kind & (WRITE | TRUNCATE | MKDIR) || (kind == OPEN && creates))) return 0;
        errno = error;
        return 1;
    }
    if (!(kinds & kind) || fnmatch(glob, path, 0)) return 0;
    if (action == LIST) {
        note("call", kind, path);
        return 0;
    }
    if (atomic_fetch_add(&count, 1) + 1 != nth) return 0;
    note("met", kind, path);
    if (action == KILL || (action == TEAR && kind != WRITE)) die();
    if (action == TEAR) return 2;
    failing = 1;
    errno = error;
    return 1;
}

static int at_path(int kind, int folder, const char *path, int creates) {
    char whole[2 * PATH_MAX];
    if (!armed) return 0;
    if (path[0] != '/') {
        char link[64], base[PATH_MAX];
        if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
        snprintf(whole, sizeof whole, "%s/%s", base, path);
        path = whole;
    }
    return met(kind, path, creates);
}

static int at_file(int kind, int fd) {
    char link[64], path[PATH_MAX];
    if (!armed || !(failing || kinds & kind)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return met(kind, path, 0);
}

#define NEXT(type, name, ...) \
    static type (*next)(__VA_ARGS__); \
    if (!next) next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int opened(int folder, const char *path, int flags) {
    int saved = errno;
    if (!armed || !(flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))) return 0;
    int failed = at_path(OPEN, folder, path, (flags & O_CREAT) && syscall(SYS_faccessat, folder, path, F_OK, 0));
    if (!failed) errno = saved;
    return failed;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(int, #name, const char *, int, ...); \
        va_list more; va_start(more, flags); \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more); \
        return opened(AT_FDCWD, path, flags) ? -1 : next(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        NEXT(int, #name, int, const char *, int, ...); \
        va_list more; va_start(more, flags); \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more); \
        return opened(folder, path, flags) ? -1 : next(folder, path, flags, mode); \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

#define OPENS_STREAM(name) \
    FILE *name(const char *path, const char *mode) { \
        NEXT(FILE *, #name, const char *, const char *); \
        int flags = strpbrk(mode, "wa") ? O_WRONLY | O_CREAT : strchr(mode, '+') ? O_RDWR : O_RDONLY; \
        return opened(AT_FDCWD, path, flags) ? NULL : next(path, mode); \
    }
OPENS_STREAM(fopen)
OPENS_STREAM(fopen64)

#define ON_FILE(type, name, kind, parameters, arguments, ...) \
    type name parameters { \
        NEXT(type, #name, __VA_ARGS__); \
        return at_file(kind, fd) ? -1 : next arguments; \
    }
ON_FILE(int, fsync, FSYNC, (int fd), (fd), int)
ON_FILE(int, fdatasync, FSYNC, (int fd), (fd), int)
ON_FILE(int, ftruncate, TRUNCATE, (int fd, off_t size), (fd, size), int, off_t)
ON_FILE(int, ftruncate64, TRUNCATE, (int fd, off64_t size), (fd, size), int, off64_t)
ON_FILE(ssize_t, read, READ, (int fd, void *to, size_t size), (fd, to, size), int, void *, size_t)
ON_FILE(ssize_t, pread, READ, (int fd, void *to, size_t size, off_t at), (fd, to, size, at), int, void *, size_t, off_t)
ON_FILE(ssize_t, pread64, READ, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at), int, void *, size_t, off64_t)
ON_FILE(ssize_t, writev, WRITE, (int fd, const struct iovec *of, int parts), (fd, of, parts), int, const struct iovec *, int)
ON_FILE(ssize_t, sendfile, WRITE, (int fd, int from, off_t *at, size_t size), (fd, from, at, size), int, int, off_t *, size_t)
ON_FILE(ssize_t, sendfile64, WRITE, (int fd, int from, off64_t *at, size_t size), (fd, from, at, size), int, int, off64_t *, size_t)

#define WRITES(name, parameters, arguments, half, ...) \
    ssize_t name parameters { \
        NEXT(ssize_t, #name, __VA_ARGS__); \
        int what = at_file(WRITE, fd); \
        if (what == 2) { if (next half) {} die(); } \
        return what ? -1 : next arguments; \
    }
WRITES(write, (int fd, const void *from, size_t size), (fd, from, size), (fd, from, size / 2), int, const void *, size_t)
WRITES(pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at), (fd, from, size / 2, at), int, const void *, size_t, off_t)
WRITES(pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at), (fd, from, size / 2, at), int, const void *, size_t, off64_t)

#define ON_PATH(name, kind, folder, path, parameters, arguments, ...) \
    int name parameters { \
        NEXT(int, #name, __VA_ARGS__); \
        return at_path(kind, folder, path, 1) ? -1 : next arguments; \
    }
/* a rename is of the name that it makes */
ON_PATH(rename, RENAME, AT_FDCWD, to, (const char *from, const char *to), (from, to), const char *, const char *)
ON_PATH(renameat, RENAME, at, to, (int of, const char *from, int at, const char *to), (of, from, at, to), int, const char *, int, const char *)
ON_PATH(unlink, UNLINK, AT_FDCWD, path, (const char *path), (path), const char *)
ON_PATH(remove, UNLINK, AT_FDCWD, path, (const char *path), (path), const char *)
ON_PATH(rmdir, UNLINK, AT_FDCWD, path, (const char *path), (path), const char *)
ON_PATH(unlinkat, UNLINK, folder, path, (int folder, const char *path, int flags), (folder, path, flags), int, const char *, int)
ON_PATH(mkdir, MKDIR, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
ON_PATH(mkdirat, MKDIR, folder, path, (int folder, const char *path, mode_t mode), (folder, path, mode), int, const char *, mode_t)
