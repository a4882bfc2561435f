#include "model/window_cover.hpp"

#include <algorithm>

namespace adtrack {

std::vector<cover_piece> cover(const time_window& window) {
  constexpr int64_t sizes[] = {1, 60, 900, 3'600, 86'400};
  int64_t lo = std::clamp<int64_t>(window.since_s, 0, cover_end_s);
  int64_t hi = std::clamp<int64_t>(window.until_s, 0, cover_end_s);
  std::vector<cover_piece> left, right;
  for (int i = 0; i < 4 && lo < hi; ++i) {
    int64_t fine = sizes[i], coarse = sizes[i + 1];
    int64_t up = std::min((lo + coarse - 1) / coarse * coarse, hi);
    if (lo < up) left.push_back({fine, lo, up});
    lo = up;
    int64_t down = std::max(hi / coarse * coarse, lo);
    if (down < hi) right.push_back({fine, down, hi});
    hi = down;
  }
  if (lo < hi) left.push_back({86'400, lo, hi});
  // Runs of both sides that meet, as the hours around a midnight, are one; but not seconds, which lie within one minute each.
  for (auto piece = right.rbegin(); piece != right.rend(); ++piece) {
    if (!left.empty() && piece->bucket_s != 1 && left.back().bucket_s == piece->bucket_s && left.back().to_s == piece->from_s)
      left.back().to_s = piece->to_s;
    else
      left.push_back(*piece);
  }
  return left;
}

} // namespace adtrack
