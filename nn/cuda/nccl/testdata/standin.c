// A stand-in for libnccl.so.2 that checks what it is called with and fails on demand, so that the binding's
// loading, calls and error paths run where no GPU is.
//
//   standin_fail("ncclAllReduce:5")   from now on the named function returns the code
//
// Memory is the host's. An all-reduce adds 1 to each value, as if the other devices had 1 everywhere, once the
// outermost group has ended.
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char fail[64]; // "" for nothing

void standin_fail(const char *what) { snprintf(fail, sizeof fail, "%s", what); }

#define CALL(name) \
  do { \
    if (!strncmp(fail, name ":", sizeof name)) return (ncclResult_t)atoi(fail + sizeof name); \
  } while (0)

static struct work { const void *send; void *recv; size_t n; ncclDataType_t type; } queue[8];
static int depth, queued;

static void work(void) {
  for (int i = 0; i < queued; i++)
    for (size_t j = 0; j < queue[i].n; j++) {
      if (queue[i].type == ncclFloat32) ((float *)queue[i].recv)[j] = ((const float *)queue[i].send)[j] + 1;
      else ((double *)queue[i].recv)[j] = ((const double *)queue[i].send)[j] + 1;
    }
  queued = 0;
}

ncclResult_t ncclGetVersion(int *v) { CALL("ncclGetVersion"); *v = 21903; return ncclSuccess; }
const char *ncclGetErrorString(ncclResult_t r) { return r == ncclInvalidUsage ? "invalid usage" : NULL; }
ncclResult_t ncclCommInitAll(ncclComm_t *comm, int n, const int *list) {
  CALL("ncclCommInitAll");
  for (int i = 0; i < n; i++) comm[i] = (ncclComm_t)(size_t)(100 + list[i]);
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void *send, void *recv, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, cudaStream_t s) {
  CALL("ncclAllReduce");
  if (op != ncclSum || (type != ncclFloat32 && type != ncclFloat64) || comm != (ncclComm_t)101 || s != (cudaStream_t)7 || queued == 8) return ncclInvalidArgument;
  queue[queued++] = (struct work){send, recv, n, type};
  if (!depth) work();
  return ncclSuccess;
}
ncclResult_t ncclGroupStart(void) { CALL("ncclGroupStart"); depth++; return ncclSuccess; }
ncclResult_t ncclGroupEnd(void) {
  CALL("ncclGroupEnd");
  if (!depth) return ncclInvalidUsage;
  if (!--depth) work();
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { CALL("ncclCommAbort"); return comm == (ncclComm_t)101 ? ncclSuccess : ncclInvalidArgument; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) { CALL("ncclCommDestroy"); return comm == (ncclComm_t)101 ? ncclSuccess : ncclInvalidArgument; }
