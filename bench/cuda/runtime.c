/*
 * CUDA's libraries without a card, for the CUDA provider of ONNX Runtime: memory and copies are the processor's, kernels do
 * nothing. What a session gives is therefore of no use; what can be seen is whether a graph is accepted, what is copied, and
 * how much memory is taken. Functions that the provider needs and that are not here are made by build.ts, and give 0 (success).
 *
 * Counts lie in the file that STEPDPO_CUDA_COUNTS names, as four numbers of 64 bits: see struct counts.
 */
#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#undef cudaGetDeviceProperties

static struct counts {
  uint64_t up, down; /* bytes copied to the card and from it */
  uint64_t held, peak; /* bytes of the card's memory */
} none, *counts = &none;

/* The card's memory is one range of addresses, by which the direction of a copy is known. */
#define CARD ((size_t)1 << 40)
#define PAGE ((size_t)4096)
static char *card, *next;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("STEPDPO_CUDA_COUNTS");
  int file = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
  if (file >= 0 && ftruncate(file, sizeof *counts) == 0) {
    void *shared = mmap(0, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) counts = shared;
  }
  card = next = mmap(0, CARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int on_card(const void *at) { return (const char *)at >= card && (const char *)at < card + CARD; }

/* A page in front of each block has its size. Addresses are not used again, pages are given back. */
cudaError_t cudaMalloc(void **at, size_t bytes) {
  size_t whole = (bytes + 2 * PAGE - 1) & ~(PAGE - 1);
  *(size_t *)next = whole;
  *at = next + PAGE;
  next += whole;
  counts->held += whole;
  if (counts->held > counts->peak) counts->peak = counts->held;
  return cudaSuccess;
}
cudaError_t cudaFree(void *at) {
  if (!at) return cudaSuccess;
  char *block = (char *)at - PAGE;
  size_t whole = *(size_t *)block;
  counts->held -= whole;
  madvise(block, whole, MADV_DONTNEED);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  *total = (size_t)80 << 30;
  *free = *total - counts->held;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void **at, size_t bytes) { return (*at = malloc(bytes)) ? cudaSuccess : cudaErrorMemoryAllocation; }
cudaError_t cudaHostAlloc(void **at, size_t bytes, unsigned flags) { return cudaMallocHost(at, bytes); }
cudaError_t cudaFreeHost(void *at) {
  free(at);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *of, const void *at) {
  memset(of, 0, sizeof *of);
  of->type = on_card(at) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  of->devicePointer = of->hostPointer = (void *)at;
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  if (on_card(to) && !on_card(from)) counts->up += bytes;
  if (on_card(from) && !on_card(to)) counts->down += bytes;
  memmove(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
  return cudaMemcpy(to, from, bytes, kind);
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_row, const void *from, size_t from_row, size_t width, size_t rows,
                              enum cudaMemcpyKind kind, cudaStream_t stream) {
  for (size_t row = 0; row < rows; row++) cudaMemcpy((char *)to + row * to_row, (char *)from + row * from_row, width, kind);
  return cudaSuccess;
}
cudaError_t cudaMemset(void *at, int value, size_t bytes) {
  memset(at, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream) { return cudaMemset(at, value, bytes); }

/* The card: one of compute capability 9.0. */
cudaError_t cudaGetDevice(int *device) { return *device = 0, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int *devices) { return *devices = 1, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *of, int device) {
  memset(of, 0, sizeof *of);
  strcpy(of->name, "none");
  of->totalGlobalMem = (size_t)80 << 30;
  of->major = 9;
  of->multiProcessorCount = 132;
  of->warpSize = 32;
  of->maxThreadsPerBlock = 1024;
  of->maxThreadsPerMultiProcessor = 2048;
  of->maxThreadsDim[0] = of->maxThreadsDim[1] = 1024;
  of->maxThreadsDim[2] = 64;
  of->maxGridSize[0] = 2147483647;
  of->maxGridSize[1] = of->maxGridSize[2] = 65535;
  of->regsPerBlock = of->regsPerMultiprocessor = 65536;
  of->sharedMemPerBlock = 49152;
  of->sharedMemPerBlockOptin = 232448;
  of->sharedMemPerMultiprocessor = 233472;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
  struct cudaDeviceProp of;
  cudaGetDeviceProperties(&of, device);
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = of.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = of.minor; break;
    case cudaDevAttrMultiProcessorCount: *value = of.multiProcessorCount; break;
    case cudaDevAttrWarpSize: *value = of.warpSize; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = of.maxThreadsPerBlock; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = of.maxThreadsPerMultiProcessor; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = of.sharedMemPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = of.sharedMemPerBlockOptin; break;
    default: *value = 1;
  }
  return cudaSuccess;
}
const char *cudaGetErrorName(cudaError_t error) { return "an error"; }
const char *cudaGetErrorString(cudaError_t error) { return "an error"; }

/* Streams and events are only told apart. */
cudaError_t cudaStreamCreate(cudaStream_t *stream) { return (*stream = malloc(1)) ? cudaSuccess : cudaErrorMemoryAllocation; }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) { return cudaStreamCreate(stream); }
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
  return *status = cudaStreamCaptureStatusNone, cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *event) { return (*event = malloc(1)) ? cudaSuccess : cudaErrorMemoryAllocation; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) { return cudaEventCreate(event); }
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t work, void *with) { return work(with), cudaSuccess; }

/* Kernels. */
cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **with, size_t shared, cudaStream_t stream) {
  return cudaSuccess;
}
cudaError_t cudaLaunchCooperativeKernel(const void *kernel, dim3 grid, dim3 block, void **with, size_t shared,
                                        cudaStream_t stream) {
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **with, size_t shared, cudaStream_t stream) {
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function) {
  return *kernel = (cudaKernel_t)function, cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *of, const void *function) {
  memset(of, 0, sizeof *of);
  of->maxThreadsPerBlock = 1024;
  of->numRegs = 32;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *function, int threads,
                                                                   size_t shared, unsigned flags) {
  return *blocks = 8, cudaSuccess;
}
static __thread struct {
  dim3 grid, block;
  size_t shared;
  void *stream;
} call;
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void *stream) {
  call.grid = grid;
  call.block = block;
  call.shared = shared;
  call.stream = stream;
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
  *grid = call.grid;
  *block = call.block;
  *shared = call.shared;
  *(void **)stream = call.stream;
  return cudaSuccess;
}
void **__cudaRegisterFatBinary(void *binary) {
  static void *handle;
  return &handle;
}
