// The arithmetic of a pixel, on words of four bytes; docs/resize.md gives it in plain numbers.
#pragma once

#include "portable.cuh"

namespace framegate {

// The two pixels that a new one lies between, first | second << 16, and their weights, alike, of 2048 in all.
struct Tap {
  u32 places;
  u32 weights;
};

FRAMEGATE_BOTH int first_of(Tap tap) { return tap.places & 0xffff; }
FRAMEGATE_BOTH int second_of(Tap tap) { return tap.places >> 16; }

FRAMEGATE_BOTH Tap tap_at(int place, double scale, int have, bool stop_at_edge) {
  const float position = static_cast<float>(product_less(place + 0.5, scale, 0.5));
  const float whole = round_down(position);
  int first = static_cast<int>(whole);
  float share = position - whole;
  if (stop_at_edge && (first < 0 || first >= have - 1)) {
    first = clamp(first, 0, have - 1);
    share = 0;
  }
  const u32 second_weight = static_cast<u32>(round_half_even(share * 2048.0f));
  const u32 first_weight = static_cast<u32>(round_half_even((1.0f - share) * 2048.0f));
  const u32 second = clamp(first + 1, 0, have - 1);
  return {clamp(first, 0, have - 1) | second << 16, first_weight | second_weight << 16};
}

// Pixels of four bytes: red, green, blue, and one that means nothing.

FRAMEGATE_BOTH u32 halve(u32 a, u32 b, u32 c, u32 d) {
  constexpr u32 EVEN = 0x00ff00ff, GREEN = 0x0000ff00;
  const u32 red_blue = (a & EVEN) + (b & EVEN) + (c & EVEN) + (d & EVEN) + 0x00020002;
  const u32 green = (a & GREEN) + (b & GREEN) + (c & GREEN) + (d & GREEN) + 0x00000200;
  return (red_blue >> 2 & EVEN) | (green >> 2 & GREEN);
}

FRAMEGATE_BOTH u32 blend(u32 above, u32 below, u32 weights) {
  return (((weights & 0xffff) * (above >> 4) >> 16) + ((weights >> 16) * (below >> 4) >> 16) + 2) >> 2;
}

FRAMEGATE_BOTH u32 interpolate(u32 a, u32 b, u32 c, u32 d, u32 across, u32 down) {
  const u32 above = pick(a, b, 0x5140), below = pick(c, d, 0x5140);              // red, red, green, green
  const u32 above_blue = pick(a, b, 0x7362), below_blue = pick(c, d, 0x7362);
  const u32 red = blend(dot_low_2(across, above), dot_low_2(across, below), down);
  const u32 green = blend(dot_high_2(across, above), dot_high_2(across, below), down);
  const u32 blue = blend(dot_low_2(across, above_blue), dot_low_2(across, below_blue), down);
  return red | green << 8 | blue << 16;
}

// Four neighbouring pixels of a row as three words, red first, as interleaved memory has them.
struct Four {
  u32 words[3];
};

FRAMEGATE_BOTH u32 word_at(const u8* row, int offset) {
  const u32* words = reinterpret_cast<const u32*>(row + (offset & ~3));
  return shift_right(words[0], words[1], (offset & 3) * 8);
}

FRAMEGATE_BOTH Four four_interleaved(const u8* row, int offset) {
  const u32* words = reinterpret_cast<const u32*>(row + (offset & ~3));
  const u32 bits = (offset & 3) * 8, second = words[1], third = words[2];
  return {shift_right(words[0], second, bits), shift_right(second, third, bits), shift_right(third, words[3], bits)};
}

FRAMEGATE_BOTH Four four_from_planes(u32 red, u32 green, u32 blue) {
  return {pick(pick(red, green, 0x1040), blue, 0x3410), pick(pick(green, blue, 0x2051), red, 0x3610),
          pick(pick(blue, red, 0x3072), green, 0x3710)};
}

// Two rows of four pixels to one row of two. The weights are 64 of 256, so byte 1 of a sum is (a + b + c + d + 2) >> 2.
FRAMEGATE_BOTH void halve_four(const Four& above, const Four& below, u32& left, u32& right) {
  constexpr u32 OUTER = 0x40000040, LOW = 0x00004040, HIGH = 0x40400000, HALF = 128;
  const u32 above_left = pick(above.words[0], above.words[1], 0x5241);  // green, green, blue, blue
  const u32 below_left = pick(below.words[0], below.words[1], 0x5241);
  const u32 red_left = dot_4(above.words[0], OUTER, dot_4(below.words[0], OUTER, HALF));
  const u32 green_left = dot_4(above_left, LOW, dot_4(below_left, LOW, HALF));
  const u32 blue_left = dot_4(above_left, HIGH, dot_4(below_left, HIGH, HALF));
  left = pick(pick(red_left, green_left, 0x0051), blue_left, 0x7510);
  const u32 above_right = pick(above.words[1], above.words[2], 0x6352);  // red, red, green, green
  const u32 below_right = pick(below.words[1], below.words[2], 0x6352);
  const u32 red_right = dot_4(above_right, LOW, dot_4(below_right, LOW, HALF));
  const u32 green_right = dot_4(above_right, HIGH, dot_4(below_right, HIGH, HALF));
  const u32 blue_right = dot_4(above.words[2], OUTER, dot_4(below.words[2], OUTER, HALF));
  right = pick(pick(red_right, green_right, 0x0051), blue_right, 0x7510);
}

}  // namespace framegate
