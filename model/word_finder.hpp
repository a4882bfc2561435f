// Finds which of many words stand in a text, in one pass over it (Aho and Corasick, 1975). Case of ASCII letters is ignored.
// Read-only once made: any thread may ask.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace adtrack {

class word_finder {
public:
  word_finder() : word_finder(std::vector<std::string>{}) {}
  explicit word_finder(const std::vector<std::string>& words); // not empty, each once when case is ignored

  // The indices of the words that stand in `text`, ascending, each once.
  void find(std::string_view text, std::vector<int>& out) const;

private:
  static constexpr uint32_t root = 0;
  void insert(std::string_view word, int index);
  void link();
  uint32_t& next(uint32_t node, uint8_t letter) { return next_[node * letters_ + letter]; }

  std::array<uint8_t, 256> letter_of_{}; // 0: stands in no word
  size_t letters_ = 1;
  std::vector<uint32_t> next_;    // a row of letters_ nodes a node
  std::vector<int> word_at_;      // the word that ends at a node, or -1
  std::vector<uint32_t> shorter_; // the node of the longest word that is a proper suffix of what leads to this one; root: none
};

} // namespace adtrack
