// From levels to the values of the engine's input, and where they go.
#pragma once

#include "pixels.cuh"

namespace framegate {

struct Output {
  u8* target;
  const void* table;  // what level l of channel c becomes: entry 256 * c + l; none for uint8
  int rows;
  int columns;
  int value_bytes;  // 1, 2 or 4
  int planes;       // NCHW, not NHWC
  int reversed;     // BGR, not RGB
  u32 pad_value;

  // In values, not bytes.
  FRAMEGATE_BOTH i64 area() const { return static_cast<i64>(rows) * columns; }
  FRAMEGATE_BOTH i64 channel_step() const { return planes ? area() : 1; }
  FRAMEGATE_BOTH int pixel_step() const { return planes ? 1 : 3; }
  FRAMEGATE_BOTH i64 first_of(int slot, int row, int column) const {
    return slot * 3 * area() + (static_cast<i64>(row) * columns + column) * pixel_step();
  }
};

FRAMEGATE_BOTH u32 value_of(const Output& out, int channel, u32 level) {
  if (out.value_bytes == 4) return static_cast<const u32*>(out.table)[256 * channel + level];
  if (out.value_bytes == 2) return static_cast<const u16*>(out.table)[256 * channel + level];
  return level;
}

FRAMEGATE_BOTH void store(const Output& out, i64 index, u32 value) {
  if (out.value_bytes == 4)
    reinterpret_cast<u32*>(out.target)[index] = value;
  else if (out.value_bytes == 2)
    reinterpret_cast<u16*>(out.target)[index] = static_cast<u16>(value);
  else
    out.target[index] = static_cast<u8>(value);
}

FRAMEGATE_BOTH void store_4(const Output& out, i64 index, u32 a, u32 b, u32 c, u32 d) {
  u8* at = out.target + index * out.value_bytes;
  if (out.value_bytes == 4)
    *reinterpret_cast<Quad*>(at) = {a, b, c, d};
  else if (out.value_bytes == 2)
    *reinterpret_cast<u64*>(at) = static_cast<u64>(c | d << 16) << 32 | (a | b << 16);
  else
    *reinterpret_cast<u32*>(at) = a | b << 8 | c << 16 | d << 24;
}

// Four neighbouring pixels of the input; the first at (row, column) of the sample.
FRAMEGATE_BOTH void values_of(const Output& out, u32 pixel, u32* values) {
  const u32 ordered = out.reversed ? pick(pixel, 0, 0x3012) : pixel;
  for (int channel = 0; channel < 3; ++channel) values[channel] = value_of(out, channel, ordered >> 8 * channel & 255);
}

FRAMEGATE_BOTH void store_scattered(const Output& out, i64 first, const u32* values) {
  for (int channel = 0; channel < 3; ++channel) store(out, first + channel * out.channel_step(), values[channel]);
}

// Four neighbouring pixels of the input; the first at (row, column) of the sample.
FRAMEGATE_BOTH void write_four(const Output& out, int slot, int row, int column, const u32* pixels) {
  u32 values[4][3];
  for (int i = 0; i < 4; ++i) values_of(out, pixels[i], values[i]);
  const i64 first = out.first_of(slot, row, column);
  if (out.columns % 4 != 0) {
    for (int i = 0; i < 4; ++i)
      if (column + i < out.columns) store_scattered(out, first + i * out.pixel_step(), values[i]);
  } else if (out.planes) {
    for (int channel = 0; channel < 3; ++channel)
      store_4(out, first + channel * out.channel_step(), values[0][channel], values[1][channel], values[2][channel],
              values[3][channel]);
  } else {
    store_4(out, first, values[0][0], values[0][1], values[0][2], values[1][0]);
    store_4(out, first + 4, values[1][1], values[1][2], values[2][0], values[2][1]);
    store_4(out, first + 8, values[2][2], values[3][0], values[3][1], values[3][2]);
  }
}

}  // namespace framegate
