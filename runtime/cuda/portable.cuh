// What a GPU has and a CPU has not, so that g++ compiles and runs the very code that the GPU runs.
//
// A block's work is a sequence of phases: for_each_thread(...), barrier(), for_each_thread(...), ... On the GPU
// every thread runs its own part; on the CPU a loop runs them one after another, forwards or backwards, or, with
// FRAMEGATE_REAL_THREADS, threads of the system run side by side, so that the thread sanitiser sees a missing barrier.
#pragma once

#ifdef __CUDACC__
#define FRAMEGATE_BOTH __host__ __device__ __forceinline__
#else
#include <cmath>
#include <cstring>
#include <vector>
#ifdef FRAMEGATE_REAL_THREADS
#include <pthread.h>
#endif
#define FRAMEGATE_BOTH inline
#endif

namespace framegate {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;

#ifdef FRAMEGATE_REAL_THREADS
constexpr int THREADS = FRAMEGATE_REAL_THREADS;
#else
constexpr int THREADS = 256;
#endif

struct alignas(16) Quad {
  u32 x, y, z, w;
};

#ifndef __CUDA_ARCH__
static bool backwards = false;  // no phase may depend on the order of its threads: tests run both
#ifdef FRAMEGATE_REAL_THREADS
static thread_local int own_thread = 0;
static pthread_barrier_t all_threads;
#endif

// As late as a GPU may make them, so that a copy that nobody awaits shows.
struct Copy {
  u8* shared;
  const u8* source;
};
static thread_local std::vector<Copy> begun, committed;

inline void make_copies(std::vector<Copy>& copies) {
  for (const Copy& copy : copies) std::memcpy(copy.shared, copy.source, 16);
  copies.clear();
}
#endif

template <class Work>
FRAMEGATE_BOTH void for_each_thread(Work work) {
#ifdef __CUDA_ARCH__
  work(static_cast<int>(threadIdx.x));
#elif defined(FRAMEGATE_REAL_THREADS)
  work(own_thread);
#else
  for (int thread = 0; thread < THREADS; ++thread) work(backwards ? THREADS - 1 - thread : thread);
#endif
}

FRAMEGATE_BOTH void barrier() {
#ifdef __CUDA_ARCH__
  __syncthreads();
#elif defined(FRAMEGATE_REAL_THREADS)
  pthread_barrier_wait(&all_threads);
#endif
}

// Starts to copy 16 aligned bytes to shared memory; they are there when their group was awaited, after a barrier.
FRAMEGATE_BOTH void copy_16(u8* shared, const u8* source) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  const u32 address = static_cast<u32>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(address), "l"(source) : "memory");
#elif defined(__CUDA_ARCH__)
  *reinterpret_cast<Quad*>(shared) = *reinterpret_cast<const Quad*>(source);
#else
  begun.push_back({shared, source});
#endif
}

// Ends a group of copies, and waits for all groups of this thread but that one.
FRAMEGATE_BOTH void commit_copies_and_await_earlier() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.wait_group 1;" ::: "memory");
#elif !defined(__CUDA_ARCH__)
  make_copies(committed);
  committed.swap(begun);
#endif
}

// Four bytes of the eight in low and high, chosen by the selector's four lowest hexadecimal digits (each 0..7).
FRAMEGATE_BOTH u32 pick(u32 low, u32 high, u32 selector) {
#ifdef __CUDA_ARCH__
  return __byte_perm(low, high, selector);
#else
  const u64 both = static_cast<u64>(high) << 32 | low;
  u32 picked = 0;
  for (int place = 0; place < 4; ++place)
    picked |= static_cast<u32>(both >> 8 * (selector >> 4 * place & 7) & 255) << 8 * place;
  return picked;
#endif
}

// Sum of the products of the four bytes, plus sum.
FRAMEGATE_BOTH u32 dot_4(u32 bytes, u32 weights, u32 sum) {
#ifdef __CUDA_ARCH__
  return __dp4a(bytes, weights, sum);
#else
  for (int place = 0; place < 4; ++place) sum += (bytes >> 8 * place & 255) * (weights >> 8 * place & 255);
  return sum;
#endif
}

// Sum of the products of two 16-bit weights with the two low bytes.
FRAMEGATE_BOTH u32 dot_low_2(u32 weights, u32 bytes) {
#ifdef __CUDA_ARCH__
  return __dp2a_lo(weights, bytes, 0u);
#else
  return (weights & 0xffff) * (bytes & 255) + (weights >> 16) * (bytes >> 8 & 255);
#endif
}

// The same with the two high bytes.
FRAMEGATE_BOTH u32 dot_high_2(u32 weights, u32 bytes) {
#ifdef __CUDA_ARCH__
  return __dp2a_hi(weights, bytes, 0u);
#else
  return dot_low_2(weights, bytes >> 16);
#endif
}

// The low word of (high, low) shifted right by 0..31 bits.
FRAMEGATE_BOTH u32 shift_right(u32 low, u32 high, u32 bits) {
#ifdef __CUDA_ARCH__
  return __funnelshift_r(low, high, bits);
#else
  return static_cast<u32>((static_cast<u64>(high) << 32 | low) >> bits);
#endif
}

// a * b - c with both steps rounded: a fused multiply-add would give other coefficients than OpenCV's.
FRAMEGATE_BOTH double product_less(double a, double b, double c) {
#ifdef __CUDA_ARCH__
  return __dsub_rn(__dmul_rn(a, b), c);
#else
  volatile double product = a * b;
  return product - c;
#endif
}

FRAMEGATE_BOTH float round_half_even(float value) {
#ifdef __CUDA_ARCH__
  return rintf(value);
#else
  return std::nearbyint(value);
#endif
}

FRAMEGATE_BOTH float round_down(float value) {
#ifdef __CUDA_ARCH__
  return floorf(value);
#else
  return std::floor(value);
#endif
}

FRAMEGATE_BOTH int least(int a, int b) { return a < b ? a : b; }
FRAMEGATE_BOTH int most(int a, int b) { return a > b ? a : b; }
FRAMEGATE_BOTH int clamp(int value, int low, int high) { return least(most(value, low), high); }

}  // namespace framegate
