#define ONEFOLD_LEVEL avx2
#define ONEFOLD_VECTOR_BYTES 32
#include "kernels/list.hpp"
