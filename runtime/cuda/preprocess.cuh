// A batch of decoded pictures of any sizes -> the engine's input. docs/resize.md gives the arithmetic.
//
// One block makes one tile of one sample. It copies the part of the picture that the tile depends on into shared
// memory, strip by strip, 16 bytes at a time; folds each strip by up to two halvings into words of one pixel each
// while the next strip is on its way; halves the rest there; interpolates; writes four pixels a thread.
#pragma once

#include "output.cuh"

namespace framegate {

enum Layout : int { INTERLEAVED = 0, PLANES = 1, ANY = 2 };

// What is known of a picture before the launch; plan.py has the same as a NumPy dtype.
struct Frame {
  u64 origin;  // address of the red of the part's first pixel
  u64 begin;   // the picture's own memory, nothing outside of which is read
  u64 end;
  i64 channel_stride;
  double scale_down;    // rows of the halved part for one row of the field
  double scale_across;  // the same for columns
  int row_stride;
  int pixel_stride;
  int layout;
  int slot;
  int halvings;
  int direct;  // read every pixel from device memory when it is needed, without shared memory
  int rows;    // of the part after all halvings
  int columns;
  int field_top;  // where the part lies in the input, and at what size
  int field_left;
  int field_rows;
  int field_columns;
  int tile_rows;
  int tile_columns;  // a multiple of 4
  int tiles_across;
  int tiles;
  int strip_groups;  // rows of folded pixels in a strip
  int strip_stride;  // bytes from one row of a strip to the next, a multiple of 16
  int folded_words;  // room for the folded pixels of any tile, a multiple of 4
  int reserved;
};

// The way of one thread through a table of any width, without a division a step.
struct Walk {
  int row, column, row_step, column_step, width;

  FRAMEGATE_BOTH Walk(int thread, int wide)
      : row(thread / wide), column(thread % wide), row_step(THREADS / wide), column_step(THREADS % wide), width(wide) {}

  FRAMEGATE_BOTH void next() {
    row += row_step;
    column += column_step;
    if (column >= width) {
      column -= width;
      ++row;
    }
  }
};

// The part of a picture that a tile depends on: after all halvings, and in the picture itself.
struct Region {
  int top, left, rows, columns;
  int halvings;  // those folded while a strip is read: 0, 1 or 2
  int later;     // those after that

  FRAMEGATE_BOTH int folded_rows() const { return rows << later; }
  FRAMEGATE_BOTH int folded_columns() const { return columns << later; }
  FRAMEGATE_BOTH int source_left() const { return left << later << halvings; }
  FRAMEGATE_BOTH int source_columns() const { return folded_columns() << halvings; }
  FRAMEGATE_BOTH int source_row(int folded_row) const { return ((top << later) + folded_row) << halvings; }
};

FRAMEGATE_BOTH u64 address_of(const Frame& frame, int row, int column, int channel) {
  return frame.origin + static_cast<i64>(row) * frame.row_stride + static_cast<i64>(column) * frame.pixel_stride +
         channel * frame.channel_stride;
}

// A picture's edge need not be one of 16 bytes: there, only its own bytes are read.
FRAMEGATE_BOTH void stage_16(const Frame& frame, u8* shared, u64 address) {
  const u8* source = reinterpret_cast<const u8*>(address);
  if (address >= frame.begin && address + 16 <= frame.end) {
    copy_16(shared, source);
    return;
  }
  for (int i = 0; i < 16; ++i)
    if (address + i >= frame.begin && address + i < frame.end) shared[i] = source[i];
}

// Copy rows of the picture, each (or each plane of each) to a line of the strip that keeps its address modulo 16.
FRAMEGATE_BOTH void stage_lines(const Frame& frame, const Region& region, int first_row, int rows, u8* strip) {
  const int planes = frame.layout == PLANES ? 3 : 1;
  const int bytes = region.source_columns() * (frame.layout == PLANES ? 1 : 3);
  for_each_thread([&](int thread) {
    for (Walk walk(thread, (bytes + 30) / 16); walk.row < rows * planes; walk.next()) {
      const int row = planes == 3 ? walk.row / 3 : walk.row;
      const u64 start = address_of(frame, first_row + row, region.source_left(), walk.row - row * planes);
      const int offset = walk.column * 16;
      if (offset < static_cast<int>(start & 15) + bytes)
        stage_16(frame, strip + walk.row * frame.strip_stride + offset, (start & ~15ull) + offset);
    }
  });
}

// Gather pixels of other strides into lines of interleaved ones.
FRAMEGATE_BOTH void stage_bytes(const Frame& frame, const Region& region, int first_row, int rows, u8* strip) {
  for_each_thread([&](int thread) {
    for (Walk walk(thread, region.source_columns() * 3); walk.row < rows; walk.next()) {
      const int column = walk.column / 3;
      const u64 address =
          address_of(frame, first_row + walk.row, region.source_left() + column, walk.column - column * 3);
      strip[walk.row * frame.strip_stride + walk.column] = *reinterpret_cast<const u8*>(address);
    }
  });
}

// A strip's rows in shared memory.
struct Strip {
  const u8* bytes;
  int stride;
  int layout;
  u32 phase;  // the low bits of the first line's address, and of what is added a row and a plane
  u32 row_phase;
  u32 plane_phase;

  FRAMEGATE_BOTH Strip(const Frame& frame, const Region& region, int first_row, const u8* at)
      : bytes(at),
        stride(frame.strip_stride),
        layout(frame.layout),
        phase(frame.layout == ANY ? 0 : static_cast<u32>(address_of(frame, first_row, region.source_left(), 0))),
        row_phase(frame.layout == ANY ? 0 : static_cast<u32>(frame.row_stride)),
        plane_phase(static_cast<u32>(frame.channel_stride)) {}

  FRAMEGATE_BOTH Four four(int row, int column) const {
    const u32 start = phase + row * row_phase;
    if (layout != PLANES) return four_interleaved(bytes + row * stride, (start & 15) + column * 3);
    const u8* lines = bytes + row * 3 * stride;
    return four_from_planes(word_at(lines, (start & 15) + column),
                            word_at(lines + stride, ((start + plane_phase) & 15) + column),
                            word_at(lines + 2 * stride, ((start + 2 * plane_phase) & 15) + column));
  }
};

// What 4 x 2**HALVINGS pixels of a strip fold to: 4, 2 or 1 pixels.
template <int HALVINGS>
FRAMEGATE_BOTH void fold_four(const Strip& strip, int row, int column, u32* pixels) {
  if constexpr (HALVINGS == 0) {
    const Four four = strip.four(row, column);
    pixels[0] = four.words[0];
    pixels[1] = pick(four.words[0], four.words[1], 0x0543);
    pixels[2] = pick(four.words[1], four.words[2], 0x0432);
    pixels[3] = four.words[2] >> 8;
  } else if constexpr (HALVINGS == 1) {
    halve_four(strip.four(2 * row, column), strip.four(2 * row + 1, column), pixels[0], pixels[1]);
  } else {
    u32 above[2], below[2];
    fold_four<1>(strip, 2 * row, column, above);
    fold_four<1>(strip, 2 * row + 1, column, below);
    pixels[0] = halve(above[0], above[1], below[0], below[1]);
  }
}

template <int HALVINGS>
FRAMEGATE_BOTH void fold_strip(const Strip& strip, int rows, int columns, u32* folded) {
  constexpr int PIXELS = 4 >> HALVINGS;
  for_each_thread([&](int thread) {
    for (Walk walk(thread, (columns + PIXELS - 1) / PIXELS); walk.row < rows; walk.next()) {
      u32 pixels[PIXELS];
      fold_four<HALVINGS>(strip, walk.row, walk.column * 4, pixels);
      for (int i = 0; i < PIXELS; ++i) {
        const int column = walk.column * PIXELS + i;
        if (column < columns) folded[walk.row * columns + column] = pixels[i];
      }
    }
  });
}

FRAMEGATE_BOTH void halve_pixels(const u32* pixels, int rows, int columns, u32* halved) {
  for_each_thread([&](int thread) {
    for (Walk walk(thread, columns); walk.row < rows; walk.next()) {
      const u32* at = pixels + walk.row * 4 * columns + walk.column * 2;
      halved[walk.row * columns + walk.column] = halve(at[0], at[1], at[2 * columns], at[2 * columns + 1]);
    }
  });
}

FRAMEGATE_BOTH void stage(const Frame& frame, const Region& region, int group, u8* strip) {
  const int rows = clamp(region.folded_rows() - group, 0, frame.strip_groups) << region.halvings;
  if (rows > 0 && frame.layout == ANY) stage_bytes(frame, region, region.source_row(group), rows, strip);
  if (rows > 0 && frame.layout != ANY) stage_lines(frame, region, region.source_row(group), rows, strip);
  commit_copies_and_await_earlier();
}

FRAMEGATE_BOTH void fold(const Frame& frame, const Region& region, int group, const u8* at, u32* folded) {
  const Strip strip(frame, region, region.source_row(group), at);
  const int columns = region.folded_columns(), rows = least(frame.strip_groups, region.folded_rows() - group);
  u32* target = folded + group * columns;
  if (region.halvings == 0) fold_strip<0>(strip, rows, columns, target);
  if (region.halvings == 1) fold_strip<1>(strip, rows, columns, target);
  if (region.halvings == 2) fold_strip<2>(strip, rows, columns, target);
}

// Read a region and halve it; returns where in shared memory its pixels are, region.columns in a row.
FRAMEGATE_BOTH const u32* read_region(const Frame& frame, const Region& region, u8* shared) {
  u32* folded = reinterpret_cast<u32*>(shared);
  u32* spare = folded + frame.folded_words;
  u8* strips = reinterpret_cast<u8*>(spare + (region.later ? frame.folded_words / 4 : 0));
  const int lines = (frame.strip_groups << region.halvings) * (frame.layout == PLANES ? 3 : 1);
  int now = 0, next = lines * frame.strip_stride;
  stage(frame, region, 0, strips);
  for (int group = 0; group < region.folded_rows(); group += frame.strip_groups) {
    stage(frame, region, group + frame.strip_groups, strips + next);
    barrier();
    fold(frame, region, group, strips + now, folded);
    barrier();
    const int done = now;
    now = next;
    next = done;
  }
  for (int left = region.later; left > 0; --left) {
    halve_pixels(folded, region.rows << (left - 1), region.columns << (left - 1), spare);
    barrier();
    u32* done = folded;
    folded = spare;
    spare = done;
  }
  return folded;
}

// Pixels after all halvings, from shared memory.
struct Folded {
  const u32* pixels;
  int top, left, columns;

  FRAMEGATE_BOTH u32 operator()(int row, int column) const {
    return pixels[(row - top) * columns + (column - left)];
  }
};

FRAMEGATE_BOTH u32 source_pixel(const Frame& frame, int row, int column) {
  u32 levels[3];
  for (int channel = 0; channel < 3; ++channel)
    levels[channel] = *reinterpret_cast<const u8*>(address_of(frame, row, column, channel));
  return levels[0] | levels[1] << 8 | levels[2] << 16;
}

// A pixel of n halvings is a tree over 4**n pixels, whose leaves are read in the order that completes squares first.
FRAMEGATE_BOTH u32 direct_pixel(const Frame& frame, int row, int column) {
  if (frame.halvings == 0) return source_pixel(frame, row, column);
  u32 waiting[15][3];  // a side has less than 2**16 pixels
  u32 value = 0;
  for (u32 leaf = 0; leaf < 1u << 2 * frame.halvings; ++leaf) {
    int down = row, across = column;
    for (int level = frame.halvings - 1; level >= 0; --level) {
      down = 2 * down + (leaf >> (2 * level + 1) & 1);
      across = 2 * across + (leaf >> 2 * level & 1);
    }
    value = source_pixel(frame, down, across);
    for (int level = 0; level < frame.halvings; ++level) {
      const u32 place = leaf >> 2 * level & 3;
      if (place < 3) {
        waiting[level][place] = value;
        break;
      }
      value = halve(waiting[level][0], waiting[level][1], waiting[level][2], value);
    }
  }
  return value;
}

// A tile of a sample; the field is what of it the picture covers.
struct Tile {
  int top, left, rows, columns;
  int field_top, field_left, field_bottom, field_right;

  FRAMEGATE_BOTH Tile(const Frame& frame, const Output& out, int index)
      : top(index / frame.tiles_across * frame.tile_rows),
        left(index % frame.tiles_across * frame.tile_columns),
        rows(least(frame.tile_rows, out.rows - top)),
        columns(least(frame.tile_columns, out.columns - left)),
        field_top(most(top, frame.field_top)),
        field_left(most(left, frame.field_left)),
        field_bottom(least(top + rows, frame.field_top + frame.field_rows)),
        field_right(least(left + columns, frame.field_left + frame.field_columns)) {}

  FRAMEGATE_BOTH bool covered() const { return field_top < field_bottom && field_left < field_right; }
  FRAMEGATE_BOTH bool covers(int row, int column) const {
    return row >= field_top && row < field_bottom && column >= field_left && column < field_right;
  }
};

FRAMEGATE_BOTH void write_tile(const Frame& frame, const Output& out, const Tile& tile, const Tap* down,
                               const Tap* across, const Folded& source) {
  for_each_thread([&](int thread) {
    for (Walk walk(thread, frame.tile_columns / 4); walk.row < tile.rows; walk.next()) {
      const int row = tile.top + walk.row, column = tile.left + walk.column * 4;
      if (column >= out.columns) continue;
      const Tap vertical = down[walk.row];
      u32 pixels[4];
      for (int i = 0; i < 4; ++i) {
        pixels[i] = out.pad_value * 0x010101;
        if (!tile.covers(row, column + i)) continue;
        const Tap tap = across[walk.column * 4 + i];
        const int above = first_of(vertical), below = second_of(vertical);
        pixels[i] = interpolate(source(above, first_of(tap)), source(above, second_of(tap)),
                                source(below, first_of(tap)), source(below, second_of(tap)), tap.weights,
                                vertical.weights);
      }
      write_four(out, frame.slot, row, column, pixels);
    }
  });
}

// Without shared memory, a pixel a thread: for what does not fit there, and where most pixels would be staged in vain.
FRAMEGATE_BOTH void write_tile_direct(const Frame& frame, const Output& out, const Tile& tile, const Tap* down,
                                      const Tap* across) {
  for_each_thread([&](int thread) {
    for (Walk walk(thread, tile.columns); walk.row < tile.rows; walk.next()) {
      const int row = tile.top + walk.row, column = tile.left + walk.column;
      const Tap vertical = down[walk.row], horizontal = across[walk.column];
      u32 pixel = out.pad_value * 0x010101;
      if (tile.covers(row, column)) {
        u32 corners[4];
#pragma unroll 1
        for (int i = 0; i < 4; ++i)
          corners[i] = direct_pixel(frame, i < 2 ? first_of(vertical) : second_of(vertical),
                                    i % 2 == 0 ? first_of(horizontal) : second_of(horizontal));
        pixel = interpolate(corners[0], corners[1], corners[2], corners[3], horizontal.weights, vertical.weights);
      }
      u32 values[3];
      values_of(out, pixel, values);
      store_scattered(out, out.first_of(frame.slot, row, column), values);
    }
  });
}

// What a block does. Shared memory: the tile's taps, the folded pixels, room to halve them, two strips.
FRAMEGATE_BOTH void make_tile(const Frame& frame, const Output& out, int index, u8* shared) {
  const Tile tile(frame, out, index);
  Tap* down = reinterpret_cast<Tap*>(shared);
  Tap* across = down + frame.tile_rows;
  for_each_thread([&](int thread) {
    for (int i = thread; i < tile.rows; i += THREADS)
      down[i] = tap_at(tile.top + i - frame.field_top, frame.scale_down, frame.rows, false);
    for (int i = thread; i < tile.columns; i += THREADS)
      across[i] = tap_at(tile.left + i - frame.field_left, frame.scale_across, frame.columns, true);
  });
  barrier();
  if (frame.direct || !tile.covered()) {
    write_tile_direct(frame, out, tile, down, across);
    return;
  }
  const int top = first_of(down[tile.field_top - tile.top]), left = first_of(across[tile.field_left - tile.left]);
  const int bottom = second_of(down[tile.field_bottom - 1 - tile.top]) + 1;
  const int right = second_of(across[tile.field_right - 1 - tile.left]) + 1;
  const int folded_at_once = least(frame.halvings, 2);
  const Region region{top, left, bottom - top, right - left, folded_at_once, frame.halvings - folded_at_once};
  const int taps_bytes = ((frame.tile_rows + frame.tile_columns) * static_cast<int>(sizeof(Tap)) + 15) & ~15;
  const u32* pixels = read_region(frame, region, shared + taps_bytes);
  write_tile(frame, out, tile, down, across, Folded{pixels, top, left, region.columns});
}

}  // namespace framegate
