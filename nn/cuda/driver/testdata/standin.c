// A stand-in for libcuda.so.1 that computes nothing: it records what it is called with, and fails on
// demand, so that the binding's loading, calls and error paths run where no driver is.
//
//   standin_fail("cuMemAlloc_v2:2")   from now on the named function returns the code
//
// Memory is the host's; copies are done at once; a launch checks its parameters (see launch below).
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char fail[64]; // "" for nothing

void standin_fail(const char *what) { snprintf(fail, sizeof fail, "%s", what); }

static CUresult result(const char *call) {
  size_t n = strlen(call);
  if (!strncmp(fail, call, n) && fail[n] == ':') return (CUresult)atoi(fail + n + 1);
  return CUDA_SUCCESS;
}

#define CALL(name) \
  do { \
    CUresult r = result(name); \
    if (r != CUDA_SUCCESS) return r; \
  } while (0)

static CUcontext current;

CUresult CUDAAPI cuInit(unsigned int flags) { CALL("cuInit"); return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS; }
CUresult CUDAAPI cuDriverGetVersion(int *v) { CALL("cuDriverGetVersion"); *v = 12040; return CUDA_SUCCESS; }
CUresult CUDAAPI cuGetErrorName(CUresult e, const char **s) {
  if (e == CUDA_ERROR_OUT_OF_MEMORY) { *s = "CUDA_ERROR_OUT_OF_MEMORY"; return CUDA_SUCCESS; }
  *s = NULL;
  return CUDA_ERROR_INVALID_VALUE;
}
CUresult CUDAAPI cuGetErrorString(CUresult e, const char **s) {
  if (e == CUDA_ERROR_OUT_OF_MEMORY) { *s = "out of memory"; return CUDA_SUCCESS; }
  *s = NULL;
  return CUDA_ERROR_INVALID_VALUE;
}
CUresult CUDAAPI cuDeviceGetCount(int *n) { CALL("cuDeviceGetCount"); *n = 2; return CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceGet(CUdevice *d, int ordinal) {
  CALL("cuDeviceGet");
  if (ordinal < 0 || ordinal > 1) return CUDA_ERROR_INVALID_DEVICE;
  *d = 40 + ordinal;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuDeviceGetName(char *name, int n, CUdevice d) { CALL("cuDeviceGetName"); snprintf(name, n, "Stand-in %d", d); return CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *n, CUdevice d) { CALL("cuDeviceTotalMem_v2"); *n = ((size_t)d) << 30; return CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice d) {
  CALL("cuDeviceGetAttribute");
  switch (a) {
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = 8; break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = 6; break;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = d; break;
  default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) { CALL("cuDevicePrimaryCtxRetain"); *c = (CUcontext)(size_t)(1000 + d); return CUDA_SUCCESS; }
CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice d) { CALL("cuDevicePrimaryCtxRelease_v2"); return d < 40 ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS; }
CUresult CUDAAPI cuCtxSetCurrent(CUcontext c) { CALL("cuCtxSetCurrent"); current = c; return CUDA_SUCCESS; }
CUresult CUDAAPI cuMemGetInfo_v2(size_t *free, size_t *total) { CALL("cuMemGetInfo_v2"); *free = 3; *total = (size_t)5 << 32; return CUDA_SUCCESS; }
CUresult CUDAAPI cuModuleLoadData(CUmodule *m, const void *text) {
  CALL("cuModuleLoadData");
  if (strncmp(text, ".version", 8)) return CUDA_ERROR_INVALID_PTX;
  *m = (CUmodule)strdup(text);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI cuModuleUnload(CUmodule m) { CALL("cuModuleUnload"); free(m); return CUDA_SUCCESS; }
CUresult CUDAAPI cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
  CALL("cuModuleGetFunction");
  *f = (CUfunction)strstr((const char *)m, name);
  return *f ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *p, size_t n) { CALL("cuMemAlloc_v2"); *p = (CUdeviceptr)malloc(n); return CUDA_SUCCESS; }
CUresult CUDAAPI cuMemFree_v2(CUdeviceptr p) { CALL("cuMemFree_v2"); free((void *)p); return CUDA_SUCCESS; }
CUresult CUDAAPI cuMemAllocHost_v2(void **p, size_t n) { CALL("cuMemAllocHost_v2"); *p = malloc(n); return CUDA_SUCCESS; }
CUresult CUDAAPI cuMemFreeHost(void *p) { CALL("cuMemFreeHost"); free(p); return CUDA_SUCCESS; }
CUresult CUDAAPI cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream s) { CALL("cuMemcpyHtoDAsync_v2"); memcpy((void *)to, from, n); return s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream s) { CALL("cuMemcpyDtoHAsync_v2"); memcpy(to, (void *)from, n); return s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) { CALL("cuMemcpyDtoDAsync_v2"); memcpy((void *)to, (void *)from, n); return s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuMemsetD8Async(CUdeviceptr to, unsigned char v, size_t n, CUstream s) { CALL("cuMemsetD8Async"); memset((void *)to, v, n); return s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuMemcpyPeerAsync(CUdeviceptr to, CUcontext c, CUdeviceptr from, CUcontext d, size_t n, CUstream s) { CALL("cuMemcpyPeerAsync"); memcpy((void *)to, (void *)from, n); return s == (CUstream)7 && c == current && d != c ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuStreamCreate(CUstream *s, unsigned int flags) { CALL("cuStreamCreate"); *s = (CUstream)7; return flags == CU_STREAM_NON_BLOCKING ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
CUresult CUDAAPI cuStreamDestroy_v2(CUstream s) { CALL("cuStreamDestroy_v2"); return s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuStreamSynchronize(CUstream s) { CALL("cuStreamSynchronize"); return s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuEventCreate(CUevent *e, unsigned int flags) { CALL("cuEventCreate"); *e = (CUevent)9; return flags == CU_EVENT_DEFAULT ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
CUresult CUDAAPI cuEventDestroy_v2(CUevent e) { CALL("cuEventDestroy_v2"); return e == (CUevent)9 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuEventRecord(CUevent e, CUstream s) { CALL("cuEventRecord"); return e == (CUevent)9 && s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuEventSynchronize(CUevent e) { CALL("cuEventSynchronize"); return e == (CUevent)9 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuEventElapsedTime(float *ms, CUevent a, CUevent b) { CALL("cuEventElapsedTime"); *ms = 1.5f; return a == b ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuStreamWaitEvent(CUstream s, CUevent e, unsigned int flags) { CALL("cuStreamWaitEvent"); return s == (CUstream)7 && e == (CUevent)9 && flags == CU_EVENT_WAIT_DEFAULT ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }

// cuLaunchKernel writes what it got where its first parameter points: grid, block, the number of bytes
// of parameters, and the parameters after the first.
CUresult CUDAAPI cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by, unsigned int bz,
                                unsigned int shared, CUstream s, void **params, void **extra) {
  CALL("cuLaunchKernel");
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  if (!f || params || shared || s != (CUstream)7) return CUDA_ERROR_INVALID_VALUE;
  if (extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER || extra[2] != CU_LAUNCH_PARAM_BUFFER_SIZE || extra[4] != CU_LAUNCH_PARAM_END) return CUDA_ERROR_INVALID_VALUE;
  size_t n = *(size_t *)extra[3];
  unsigned int *out = *(unsigned int **)extra[1];
  unsigned int head[7] = {gx, gy, gz, bx, by, bz, (unsigned int)n};
  memcpy(out, head, sizeof head);
  memcpy(out + 7, (char *)extra[1] + 8, n - 8);
  return CUDA_SUCCESS;
}

#ifndef NO_GRAPHS // as before CUDA 10 and 11.4
CUresult CUDAAPI cuStreamBeginCapture_v2(CUstream s, CUstreamCaptureMode m) { CALL("cuStreamBeginCapture_v2"); return s == (CUstream)7 && m == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
CUresult CUDAAPI cuStreamEndCapture(CUstream s, CUgraph *g) { CALL("cuStreamEndCapture"); *g = (CUgraph)11; return s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuGraphInstantiateWithFlags(CUgraphExec *e, CUgraph g, unsigned long long flags) { CALL("cuGraphInstantiateWithFlags"); *e = (CUgraphExec)12; return g == (CUgraph)11 && !flags ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
CUresult CUDAAPI cuGraphLaunch(CUgraphExec e, CUstream s) { CALL("cuGraphLaunch"); return e == (CUgraphExec)12 && s == (CUstream)7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuGraphDestroy(CUgraph g) { CALL("cuGraphDestroy"); return g == (CUgraph)11 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec e) { CALL("cuGraphExecDestroy"); return e == (CUgraphExec)12 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
#endif
