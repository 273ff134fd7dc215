/* A CUDA driver in host memory, as far as runtime/device_pycuda.py and runtime/device_cuda_core.py call it.
 *
 * It holds the Python packages' calls to what the driver demands (a current context, living streams and events, a
 * capture that ends where it began) and does the copies and one kernel, so that both devices run for real on a CPU.
 * Work is done at once; what it cannot show is laziness, for which tests/fake_device.py is. Whatever is not here
 * answers CUDA_ERROR_NOT_SUPPORTED.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int R;
enum {
    OK = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_SUPPORTED = 801, CAPTURE_UNSUPPORTED = 900
};

/* A copy, or a launch where there is nothing to copy from. */
typedef struct {
    void *to;
    const void *from;
    size_t bytes;
} Work;
typedef struct { Work work[64]; int many; } Graph;
typedef struct { int magic; Graph *capturing; } Stream;
typedef struct { int magic; } Event;

static int initialized;
static long live_device, live_pinned, live_streams, live_events, retained;
static char primary;                                  /* its address is the context */
static __thread void *stack[16];
static __thread int depth;

/* For a test: what was made and not given back. */
long fake_live(int which) {
    long all[] = {live_device, live_pinned, live_streams, live_events, retained};
    return all[which];
}

#define CONTEXT() do { if (!depth || stack[depth - 1] != &primary) return INVALID_CONTEXT; } while (0)
#define STREAM(s) do { if (!(s) || ((Stream *)(s))->magic != 0x57) return INVALID_HANDLE; } while (0)

R cuInit(unsigned flags) { initialized = 1; return getenv("FAKE_CUDA_INIT") ? atoi(getenv("FAKE_CUDA_INIT")) : OK; }
R cuDriverGetVersion(int *v) { *v = 13000; return OK; }
R cuGetErrorName(R e, const char **s) {
    *s = e == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : e == INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT"
       : e == NOT_FOUND ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR_OTHER";
    return OK;
}
R cuGetErrorString(R e, const char **s) { return cuGetErrorName(e, s); }
R cuDeviceGetCount(int *n) {
    if (!initialized) return NOT_INITIALIZED;
    *n = getenv("FAKE_CUDA_COUNT") ? atoi(getenv("FAKE_CUDA_COUNT")) : 1;
    return OK;
}
R cuDeviceGet(int *d, int i) { *d = i; return i == 0 ? OK : INVALID_DEVICE; }
R cuDeviceGetName(char *s, int n, int d) { snprintf(s, n, "Fake H200"); return OK; }
R cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : a == 76 ? 0 : 1; return OK; }
R cuDeviceComputeCapability(int *a, int *b, int d) { *a = 9; *b = 0; return OK; }
R cuDevicePrimaryCtxRetain(void **c, int d) { retained++; *c = &primary; return OK; }
R cuDevicePrimaryCtxRelease_v2(int d) { retained--; return OK; }
R cuCtxPushCurrent_v2(void *c) { if (depth == 16) return INVALID_VALUE; stack[depth++] = c; return OK; }
R cuCtxPopCurrent_v2(void **c) {
    if (!depth) return INVALID_CONTEXT;
    void *top = stack[--depth];
    if (c) *c = top;
    return OK;
}
R cuCtxSetCurrent(void *c) { if (depth) stack[depth - 1] = c; else stack[depth++] = c; return OK; }
R cuCtxGetCurrent(void **c) { *c = depth ? stack[depth - 1] : NULL; return OK; }
R cuCtxGetDevice(int *d) { CONTEXT(); *d = 0; return OK; }
R cuCtxGetDevice_v2(int *d, void *c) { *d = 0; return OK; }
R cuCtxSynchronize(void) { CONTEXT(); return OK; }

R cuMemAlloc_v2(uint64_t *p, size_t n) {
    CONTEXT();
    if (!n) return INVALID_VALUE;
    *p = (uint64_t)aligned_alloc(256, (n + 255) / 256 * 256);
    memset((void *)*p, 0xAB, n);
    live_device++;
    return OK;
}
R cuMemFree_v2(uint64_t p) { CONTEXT(); free((void *)p); live_device--; return OK; }
R cuMemHostAlloc(void **p, size_t n, unsigned flags) {
    CONTEXT();
    if (flags != 1) return INVALID_VALUE;
    *p = aligned_alloc(4096, (n + 4095) / 4096 * 4096);
    live_pinned++;
    return OK;
}
R cuMemFreeHost(void *p) { CONTEXT(); free(p); live_pinned--; return OK; }

R cuStreamCreate(void **s, unsigned flags) {
    CONTEXT();
    if (flags != 1) return INVALID_VALUE;
    Stream *n = calloc(1, sizeof *n);
    n->magic = 0x57;
    *s = n;
    live_streams++;
    return OK;
}
R cuStreamCreateWithPriority(void **s, unsigned flags, int priority) { return cuStreamCreate(s, flags); }
R cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return OK; }
R cuStreamGetPriority(void *s, int *p) { STREAM(s); *p = 0; return OK; }
R cuStreamGetFlags(void *s, unsigned *f) { STREAM(s); *f = 1; return OK; }
R cuStreamGetCtx(void *s, void **c) { STREAM(s); *c = &primary; return OK; }
R cuStreamGetCtx_v2(void *s, void **c, void **g) { STREAM(s); *c = &primary; if (g) *g = NULL; return OK; }
R cuStreamDestroy_v2(void *s) { STREAM(s); ((Stream *)s)->magic = 0; live_streams--; return OK; }
R cuStreamQuery(void *s) { CONTEXT(); STREAM(s); return OK; }
R cuStreamSynchronize(void *s) { CONTEXT(); STREAM(s); return ((Stream *)s)->capturing ? CAPTURE_UNSUPPORTED : OK; }
R cuEventCreate(void **e, unsigned flags) {
    CONTEXT();
    if (flags != 3) return INVALID_VALUE;
    Event *n = calloc(1, sizeof *n);
    n->magic = 0xE7;
    *e = n;
    live_events++;
    return OK;
}
R cuEventDestroy_v2(void *e) { live_events--; return OK; }
R cuEventRecord(void *e, void *s) { CONTEXT(); STREAM(s); return ((Event *)e)->magic == 0xE7 ? OK : INVALID_HANDLE; }
R cuEventRecordWithFlags(void *e, void *s, unsigned f) { return cuEventRecord(e, s); }
R cuEventSynchronize(void *e) { CONTEXT(); return ((Event *)e)->magic == 0xE7 ? OK : INVALID_HANDLE; }
R cuEventQuery(void *e) { return OK; }
R cuStreamWaitEvent(void *s, void *e, unsigned f) {
    CONTEXT();
    STREAM(s);
    return ((Event *)e)->magic == 0xE7 ? OK : INVALID_HANDLE;
}

static void execute(Work *w) {
    if (w->from) memcpy(w->to, w->from, w->bytes);
    else for (size_t i = 0; i < w->bytes; i++) ((uint8_t *)w->to)[i] *= 2;
}
static R queue(void *stream, Work w) {
    CONTEXT(); STREAM(stream);
    Stream *s = stream;
    if (s->capturing) { s->capturing->work[s->capturing->many++] = w; return OK; }
    execute(&w);
    return OK;
}
R cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t n, void *s) {
    Work w = {(void *)to, from, n};
    return queue(s, w);
}
R cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t n, void *s) {
    Work w = {to, (void *)from, n};
    return queue(s, w);
}

/* One module: an image that begins as a fatbin, a cubin or PTX does; one kernel in it: twice(uint64, uint32). */
static int known(const char *i) {
    return !memcmp(i, "\x50\xed\x55\xba", 4) || !memcmp(i, "\x7f" "ELF", 4) || !memcmp(i, ".version", 8);
}
static char module_, library_, function_, kernel_;
R cuModuleLoadDataEx(void **m, const void *image, unsigned n, void *o, void **v) {
    CONTEXT();
    *m = &module_;
    return known(image) ? OK : INVALID_IMAGE;
}
R cuModuleUnload(void *m) { return OK; }
R cuModuleGetFunction(void **f, void *m, const char *name) {
    CONTEXT();
    *f = &function_;
    return strcmp(name, "twice") ? NOT_FOUND : OK;
}
R cuLibraryLoadData(void **l, const void *image, void *jo, void **jv, unsigned nj, void *lo, void **lv, unsigned nl) {
    *l = &library_;
    return known(image) ? OK : INVALID_IMAGE;
}
R cuLibraryUnload(void *l) { return OK; }
R cuLibraryGetKernel(void **k, void *l, const char *name) {
    *k = &kernel_;
    return strcmp(name, "twice") ? NOT_FOUND : OK;
}
R cuKernelGetLibrary(void **l, void *k) { *l = &library_; return OK; }
R cuFuncSetBlockShape(void *f, int x, int y, int z) { return OK; }
R cuFuncSetSharedSize(void *f, unsigned n) { return OK; }
static R launch(void *f, void *s, void **parameters, void **extra) {
    uint64_t pointer;
    uint32_t count;
    if (f != &function_ && f != &kernel_) return INVALID_HANDLE;
    if (parameters) {
        pointer = *(uint64_t *)parameters[0];
        count = *(uint32_t *)parameters[1];
    } else { /* CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, size */
        if (*(size_t *)extra[3] != sizeof pointer + sizeof count) return INVALID_VALUE;
        memcpy(&pointer, extra[1], sizeof pointer);
        memcpy(&count, (char *)extra[1] + sizeof pointer, sizeof count);
    }
    Work w = {(void *)pointer, NULL, count};
    return queue(s, w);
}
R cuLaunchKernel(
    void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *s,
    void **parameters, void **extra
) {
    if (gx * gy * gz == 0 || bx * by * bz == 0) return INVALID_VALUE;
    return launch(f, s, parameters, extra);
}
typedef struct { unsigned g[3], b[3], shared; void *stream; void *attrs; unsigned n; } Config;
R cuLaunchKernelEx(const Config *c, void *f, void **p, void **x) { return launch(f, c->stream, p, x); }

R cuStreamBeginCapture_v2(void *s, int mode) {
    CONTEXT(); STREAM(s);
    if (((Stream *)s)->capturing) return INVALID_VALUE;
    ((Stream *)s)->capturing = calloc(1, sizeof(Graph));
    return OK;
}
R cuStreamEndCapture(void *s, void **g) {
    CONTEXT(); STREAM(s);
    if (!((Stream *)s)->capturing) return INVALID_VALUE;
    *g = ((Stream *)s)->capturing;
    ((Stream *)s)->capturing = NULL;
    return OK;
}
R cuStreamIsCapturing(void *s, int *on) { STREAM(s); *on = ((Stream *)s)->capturing != NULL; return OK; }
R cuStreamGetCaptureInfo_v2(void *s, int *on, uint64_t *id, void **g, void ***d, size_t *n) {
    STREAM(s);
    *on = ((Stream *)s)->capturing != NULL;
    if (id) *id = 1;
    if (g) *g = ((Stream *)s)->capturing;
    if (n) *n = 0;
    return OK;
}
R cuStreamGetCaptureInfo_v3(void *s, int *on, uint64_t *id, void **g, void ***d, void **e, size_t *n) {
    return cuStreamGetCaptureInfo_v2(s, on, id, g, d, n);
}
R cuGraphInstantiateWithFlags(void **x, void *g, unsigned long long f) {
    *x = memcpy(malloc(sizeof(Graph)), g, sizeof(Graph));
    return OK;
}
R cuGraphInstantiateWithParams(void **x, void *g, void *p) { return cuGraphInstantiateWithFlags(x, g, 0); }
R cuGraphLaunch(void *x, void *s) {
    CONTEXT();
    STREAM(s);
    Graph *g = x;
    for (int i = 0;
    i < g->many;
    i++) queue(s, g->work[i]);
    return OK;
}
R cuGraphExecDestroy(void *x) { return OK; }
R cuGraphDestroy(void *g) { return OK; }

/* What a graph keeps alive: nothing here, since nothing outlives the process. */
static char object_;
R cuUserObjectCreate(void **o, void *p, void (*destroy)(void *), unsigned n, unsigned f) { *o = &object_; return OK; }
R cuUserObjectRetain(void *o, unsigned n) { return OK; }
R cuUserObjectRelease(void *o, unsigned n) { return OK; }
R cuGraphRetainUserObject(void *g, void *o, unsigned n, unsigned f) { return OK; }
R cuGraphReleaseUserObject(void *g, void *o, unsigned n) { return OK; }

static R not_supported(void) { return NOT_SUPPORTED; }

/* The newest variant under a name, as the driver gives it to who knows the newest. */
R cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags, int *status) {
    static const char *variants[] = {"%s_v3", "%s_v2", "%s"};
    char text[128];
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, variants[i], name);
        if ((*address = dlsym(dlopen(getenv("FAKE_CUDA"), RTLD_NOW), text))) break;
    }
    if (!*address) *address = not_supported;
    if (status) *status = 0;
    return OK;
}
R cuGetProcAddress(const char *name, void **address, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, address, version, flags, NULL);
}

/* What pycuda's library links to and our code does not call: without these names it cannot be loaded. */
#define LINKED \
    X(cuArray3DCreate_v2) X(cuArray3DGetDescriptor_v2) X(cuArrayCreate_v2) X(cuArrayDestroy) \
    X(cuArrayGetDescriptor_v2) X(cuCtxAttach) X(cuCtxCreate_v4) X(cuCtxDetach) X(cuCtxDisablePeerAccess) \
    X(cuCtxEnablePeerAccess) X(cuCtxGetApiVersion) X(cuCtxGetCacheConfig) X(cuCtxGetLimit) \
    X(cuCtxGetSharedMemConfig) X(cuCtxSetCacheConfig) X(cuCtxSetLimit) X(cuCtxSetSharedMemConfig) \
    X(cuDeviceCanAccessPeer) X(cuDeviceGetByPCIBusId) X(cuDeviceGetPCIBusId) X(cuDeviceTotalMem_v2) \
    X(cuEventElapsedTime_v2) X(cuFuncGetAttribute) X(cuFuncSetAttribute) X(cuFuncSetCacheConfig) \
    X(cuIpcCloseMemHandle) X(cuIpcGetEventHandle) X(cuIpcGetMemHandle) X(cuIpcOpenEventHandle) \
    X(cuIpcOpenMemHandle_v2) X(cuLaunch) X(cuLaunchGrid) X(cuLaunchGridAsync) X(cuLinkAddData_v2) \
    X(cuLinkAddFile_v2) X(cuLinkComplete) X(cuLinkCreate_v2) X(cuLinkDestroy) X(cuMemAllocManaged) \
    X(cuMemAllocPitch_v2) X(cuMemGetAddressRange_v2) X(cuMemGetInfo_v2) X(cuMemHostGetDevicePointer_v2) \
    X(cuMemHostGetFlags) X(cuMemHostRegister_v2) X(cuMemHostUnregister) X(cuMemcpy2DAsync_v2) \
    X(cuMemcpy2DUnaligned_v2) X(cuMemcpy2D_v2) X(cuMemcpy3DAsync_v2) X(cuMemcpy3DPeer) X(cuMemcpy3DPeerAsync) \
    X(cuMemcpy3D_v2) X(cuMemcpyAtoA_v2) X(cuMemcpyAtoD_v2) X(cuMemcpyAtoH_v2) X(cuMemcpyDtoA_v2) \
    X(cuMemcpyDtoDAsync_v2) X(cuMemcpyDtoD_v2) X(cuMemcpyDtoH_v2) X(cuMemcpyHtoA_v2) X(cuMemcpyHtoD_v2) \
    X(cuMemcpyPeer) X(cuMemcpyPeerAsync) X(cuMemsetD16Async) X(cuMemsetD16_v2) X(cuMemsetD2D16Async) \
    X(cuMemsetD2D16_v2) X(cuMemsetD2D32Async) X(cuMemsetD2D32_v2) X(cuMemsetD2D8Async) X(cuMemsetD2D8_v2) \
    X(cuMemsetD32Async) X(cuMemsetD32_v2) X(cuMemsetD8Async) X(cuMemsetD8_v2) X(cuModuleGetGlobal_v2) \
    X(cuModuleGetSurfRef) X(cuModuleGetTexRef) X(cuModuleLoad) X(cuModuleLoadData) X(cuParamSetSize) \
    X(cuParamSetTexRef) X(cuParamSetf) X(cuParamSeti) X(cuParamSetv) X(cuProfilerInitialize) X(cuProfilerStart) \
    X(cuProfilerStop) X(cuStreamAttachMemAsync) X(cuSurfRefGetArray) X(cuSurfRefSetArray) X(cuTexRefCreate) \
    X(cuTexRefDestroy) X(cuTexRefGetAddressMode) X(cuTexRefGetAddress_v2) X(cuTexRefGetArray) \
    X(cuTexRefGetFilterMode) X(cuTexRefGetFlags) X(cuTexRefGetFormat) X(cuTexRefSetAddress2D_v3) \
    X(cuTexRefSetAddressMode) X(cuTexRefSetAddress_v2) X(cuTexRefSetArray) X(cuTexRefSetFilterMode) \
    X(cuTexRefSetFlags) X(cuTexRefSetFormat)
#define X(name) R name(void) { return NOT_SUPPORTED; }
LINKED
