package nccl

// symbol is a function of the library that is called, with its result and the types of its parameters in C. A
// test compares them with nccl.h, and every call has as many arguments.
type symbol struct {
	name, result string
	parameters   []string
}

// Numbers of the functions in symbols.
const (
	ncclGetVersion = iota
	ncclGetErrorString
	ncclCommInitAll
	ncclAllReduce
	ncclGroupStart
	ncclGroupEnd
	ncclCommAbort
	ncclCommDestroy
)

var symbols = []symbol{
	ncclGetVersion:     {"ncclGetVersion", "ncclResult_t", []string{"int *"}},
	ncclGetErrorString: {"ncclGetErrorString", "const char *", []string{"ncclResult_t"}},
	ncclCommInitAll:    {"ncclCommInitAll", "ncclResult_t", []string{"ncclComm_t *", "int", "const int *"}},
	ncclAllReduce: {"ncclAllReduce", "ncclResult_t", []string{"const void *", "void *", "size_t", "ncclDataType_t", "ncclRedOp_t",
		"ncclComm_t", "cudaStream_t"}},
	ncclGroupStart:  {"ncclGroupStart", "ncclResult_t", []string{"void"}},
	ncclGroupEnd:    {"ncclGroupEnd", "ncclResult_t", []string{"void"}},
	ncclCommAbort:   {"ncclCommAbort", "ncclResult_t", []string{"ncclComm_t"}},
	ncclCommDestroy: {"ncclCommDestroy", "ncclResult_t", []string{"ncclComm_t"}},
}

// Constants of nccl.h.
const (
	success              = 0 // ncclSuccess
	sum                  = 0 // ncclSum
	errorStringsMaxBytes = 512
)
