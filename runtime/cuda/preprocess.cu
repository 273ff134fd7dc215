// The kernel's entry. Grid: (tiles of the frame that has most, frames, 1); block: (THREADS, 1, 1), five of them at
// once on a multiprocessor: more registers would hide less of the memory's latency.
#include "preprocess.cuh"

extern "C" __global__ void __launch_bounds__(framegate::THREADS, 5)
    framegate_preprocess(const framegate::Frame* frames, unsigned char* target, const void* table, int rows,
                         int columns, int value_bytes, int planes, int reversed, int pad_value) {
  extern __shared__ framegate::Quad shared[];
  const framegate::Frame frame = frames[blockIdx.y];
  if (blockIdx.x >= static_cast<unsigned>(frame.tiles)) return;
  const framegate::Output out{target,      table,  rows,     columns,
                              value_bytes, planes, reversed, static_cast<unsigned>(pad_value)};
  framegate::make_tile(frame, out, static_cast<int>(blockIdx.x), reinterpret_cast<unsigned char*>(shared));
}
