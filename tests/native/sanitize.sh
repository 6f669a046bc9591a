#!/usr/bin/env bash
# The native core under AddressSanitizer with UBSan, then under ThreadSanitizer; the kernels' Python
# tests under AddressSanitizer too.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=$PWD/${VENV:-.venv}/bin/python

configure() { # folder, sanitizers
    cmake -S . -B "$1" -DCMAKE_BUILD_TYPE=Debug -DONEFOLD_SANITIZE="$2" -DONEFOLD_TESTS=ON \
        -DPython_EXECUTABLE="$PYTHON" -Dnanobind_DIR="$("$PYTHON" -m nanobind --cmake_dir)" >/dev/null
}

configure build/address address,undefined
PATH=$PWD/.venv/bin:$PATH cmake --build build/address --parallel "$(nproc)"
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 build/address/onefold_tests
mkdir -p build/address/package
cp -r src/onefold build/address/package/
cp build/address/_core*.so build/address/package/onefold/
# The interpreter is not built with the sanitizer, so its library comes first; Python's own leaks are not ours.
LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    PYTHONPATH=build/address/package "$PYTHON" -m pytest -q -p no:cacheprovider tests/kernels tests/golden

configure build/thread thread
PATH=$PWD/.venv/bin:$PATH cmake --build build/thread --parallel "$(nproc)" --target onefold_tests
TSAN_OPTIONS=halt_on_error=1 build/thread/onefold_tests
