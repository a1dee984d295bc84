/* Of cuBLAS and cuDNN without a card (see runtime.c) what must do something. */
#include <stddef.h>
#include <stdlib.h>

static int made(void **handle) { return (*handle = malloc(1)) ? 0 : 1; }
int cublasCreate_v2(void **handle) { return made(handle); }
int cublasLtCreate(void **handle) { return made(handle); }
int cudnnCreate(void **handle) { return made(handle); }
size_t cudnnGetVersion(void) { return 90000; }
const char *cublasGetStatusName(int status) { return "a status"; }
const char *cublasGetStatusString(int status) { return "a status"; }
const char *cudnnGetErrorString(int status) { return "a status"; }
int cublasGetMathMode(void *handle, int *mode) { return *mode = 0; }
