/* Sleeping as the kernel has it, before libfaketime in LD_PRELOAD. libfaketime 0.9.10 turns an
 * absolute time of the monotonic clock, which it is told not to fake, into one that is wrong by the
 * offset of the wall clock; Python 3.11 and newer sleep until such a time. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_nanosleep(clockid_t clock, int flags, const struct timespec* until,
                    struct timespec* left) {
  const int before = errno;
  const int failed = syscall(SYS_clock_nanosleep, clock, flags, until, left) ? errno : 0;
  errno = before;
  return failed; /* as the manual has it: the error is returned, and errno left alone */
}
