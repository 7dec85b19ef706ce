/* quota.h - how many CPUs this process should use: the least of the logical
 * CPUs, the affinity mask and max(2, ceil(quota / period)) of the cgroup, the
 * rule of Go 1.25. Reads files, any thread; the paths can be given for tests.
 */
#ifndef NP_SCHED_QUOTA_H
#define NP_SCHED_QUOTA_H
#include <stdbool.h>
#include <stdint.h>

/* "max 100000", "250000 100000": CPUs in *limit (a quota alone has a period of
 * 100000). False when there is no limit or the text is malformed. */
bool np_quota_parse_v2(const char *text, double *limit);
/* The v1 pair of files; a negative quota is no limit. */
bool np_quota_parse_v1(const char *quota, const char *period, double *limit);
/* The cgroup's limit of this process, the tightest from its own group up to
 * the mount. `root` is prefixed to every path (NULL: ""). False: no limit. */
bool np_quota_limit(const char *root, double *limit);

/* The rule: `limit` rounded up, but at least 2, and at most `cpus`. */
uint32_t np_quota_round(uint32_t cpus, double limit);
uint32_t np_quota_cpus(void);

#endif
