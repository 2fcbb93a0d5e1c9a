package driver

// symbol is a function of the driver that is called, with the types of its parameters in C. A test
// compares them with cuda.h, and every call has as many arguments.
type symbol struct {
	name       string
	parameters []string
}

// Numbers of the functions in symbols.
const (
	cuInit = iota
	cuDriverGetVersion
	cuGetErrorName
	cuGetErrorString
	cuDeviceGetCount
	cuDeviceGet
	cuDeviceGetName
	cuDeviceTotalMem
	cuDeviceGetAttribute
	cuDevicePrimaryCtxRetain
	cuDevicePrimaryCtxRelease
	cuCtxSetCurrent
	cuMemGetInfo
	cuModuleLoadData
	cuModuleUnload
	cuModuleGetFunction
	cuMemAlloc
	cuMemFree
	cuMemAllocHost
	cuMemFreeHost
	cuMemcpyHtoDAsync
	cuMemcpyDtoHAsync
	cuMemcpyDtoDAsync
	cuMemsetD8Async
	cuMemcpyPeerAsync
	cuStreamCreate
	cuStreamDestroy
	cuStreamSynchronize
	cuEventCreate
	cuEventDestroy
	cuEventRecord
	cuEventSynchronize
	cuEventElapsedTime
	cuStreamWaitEvent
	cuLaunchKernel
	cuStreamBeginCapture // from here on a driver may lack them
	cuStreamEndCapture
	cuGraphInstantiate
	cuGraphLaunch
	cuGraphDestroy
	cuGraphExecDestroy
)

var symbols = []symbol{
	cuInit:                    {"cuInit", []string{"unsigned int"}},
	cuDriverGetVersion:        {"cuDriverGetVersion", []string{"int *"}},
	cuGetErrorName:            {"cuGetErrorName", []string{"CUresult", "const char **"}},
	cuGetErrorString:          {"cuGetErrorString", []string{"CUresult", "const char **"}},
	cuDeviceGetCount:          {"cuDeviceGetCount", []string{"int *"}},
	cuDeviceGet:               {"cuDeviceGet", []string{"CUdevice *", "int"}},
	cuDeviceGetName:           {"cuDeviceGetName", []string{"char *", "int", "CUdevice"}},
	cuDeviceTotalMem:          {"cuDeviceTotalMem_v2", []string{"size_t *", "CUdevice"}},
	cuDeviceGetAttribute:      {"cuDeviceGetAttribute", []string{"int *", "CUdevice_attribute", "CUdevice"}},
	cuDevicePrimaryCtxRetain:  {"cuDevicePrimaryCtxRetain", []string{"CUcontext *", "CUdevice"}},
	cuDevicePrimaryCtxRelease: {"cuDevicePrimaryCtxRelease_v2", []string{"CUdevice"}},
	cuCtxSetCurrent:           {"cuCtxSetCurrent", []string{"CUcontext"}},
	cuMemGetInfo:              {"cuMemGetInfo_v2", []string{"size_t *", "size_t *"}},
	cuModuleLoadData:          {"cuModuleLoadData", []string{"CUmodule *", "const void *"}},
	cuModuleUnload:            {"cuModuleUnload", []string{"CUmodule"}},
	cuModuleGetFunction:       {"cuModuleGetFunction", []string{"CUfunction *", "CUmodule", "const char *"}},
	cuMemAlloc:                {"cuMemAlloc_v2", []string{"CUdeviceptr *", "size_t"}},
	cuMemFree:                 {"cuMemFree_v2", []string{"CUdeviceptr"}},
	cuMemAllocHost:            {"cuMemAllocHost_v2", []string{"void **", "size_t"}},
	cuMemFreeHost:             {"cuMemFreeHost", []string{"void *"}},
	cuMemcpyHtoDAsync:         {"cuMemcpyHtoDAsync_v2", []string{"CUdeviceptr", "const void *", "size_t", "CUstream"}},
	cuMemcpyDtoHAsync:         {"cuMemcpyDtoHAsync_v2", []string{"void *", "CUdeviceptr", "size_t", "CUstream"}},
	cuMemcpyDtoDAsync:         {"cuMemcpyDtoDAsync_v2", []string{"CUdeviceptr", "CUdeviceptr", "size_t", "CUstream"}},
	cuMemsetD8Async:           {"cuMemsetD8Async", []string{"CUdeviceptr", "unsigned char", "size_t", "CUstream"}},
	cuMemcpyPeerAsync:         {"cuMemcpyPeerAsync", []string{"CUdeviceptr", "CUcontext", "CUdeviceptr", "CUcontext", "size_t", "CUstream"}},
	cuStreamCreate:            {"cuStreamCreate", []string{"CUstream *", "unsigned int"}},
	cuStreamDestroy:           {"cuStreamDestroy_v2", []string{"CUstream"}},
	cuStreamSynchronize:       {"cuStreamSynchronize", []string{"CUstream"}},
	cuEventCreate:             {"cuEventCreate", []string{"CUevent *", "unsigned int"}},
	cuEventDestroy:            {"cuEventDestroy_v2", []string{"CUevent"}},
	cuEventRecord:             {"cuEventRecord", []string{"CUevent", "CUstream"}},
	cuEventSynchronize:        {"cuEventSynchronize", []string{"CUevent"}},
	cuEventElapsedTime:        {"cuEventElapsedTime", []string{"float *", "CUevent", "CUevent"}},
	cuStreamWaitEvent:         {"cuStreamWaitEvent", []string{"CUstream", "CUevent", "unsigned int"}},
	cuLaunchKernel: {"cuLaunchKernel", []string{"CUfunction", "unsigned int", "unsigned int", "unsigned int", "unsigned int",
		"unsigned int", "unsigned int", "unsigned int", "CUstream", "void **", "void **"}},
	cuStreamBeginCapture: {"cuStreamBeginCapture_v2", []string{"CUstream", "CUstreamCaptureMode"}},
	cuStreamEndCapture:   {"cuStreamEndCapture", []string{"CUstream", "CUgraph *"}},
	cuGraphInstantiate:   {"cuGraphInstantiateWithFlags", []string{"CUgraphExec *", "CUgraph", "unsigned long long"}},
	cuGraphLaunch:        {"cuGraphLaunch", []string{"CUgraphExec", "CUstream"}},
	cuGraphDestroy:       {"cuGraphDestroy", []string{"CUgraph"}},
	cuGraphExecDestroy:   {"cuGraphExecDestroy", []string{"CUgraphExec"}},
}

// Constants of cuda.h.
const (
	attributeProcessors  = 16   // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
	attributeMajor       = 75   // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
	attributeMinor       = 76   // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
	streamNonBlocking    = 1    // CU_STREAM_NON_BLOCKING
	eventDefault         = 0    // CU_EVENT_DEFAULT
	waitDefault          = 0    // CU_EVENT_WAIT_DEFAULT
	captureThreadLocal   = 1    // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
	launchEnd            = 0    // CU_LAUNCH_PARAM_END
	launchBufferPointer  = 1    // CU_LAUNCH_PARAM_BUFFER_POINTER
	launchBufferSize     = 2    // CU_LAUNCH_PARAM_BUFFER_SIZE
	maxParameterBytes    = 4096 // of a kernel
	maxDeviceName        = 256
	errorStringsMaxBytes = 512
)
