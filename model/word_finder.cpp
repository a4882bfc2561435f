#include "model/word_finder.hpp"

#include <algorithm>

namespace adtrack {
namespace {

constexpr uint8_t lower(char c) noexcept { return static_cast<uint8_t>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

} // namespace

word_finder::word_finder(const std::vector<std::string>& words) {
  for (const auto& word : words)
    for (const char c : word)
      if (auto& letter = letter_of_[lower(c)]; letter == 0) letter = static_cast<uint8_t>(letters_++); // 230 at most
  for (char c = 'A'; c <= 'Z'; ++c) letter_of_[static_cast<uint8_t>(c)] = letter_of_[lower(c)];
  next_.assign(letters_, root);
  word_at_.assign(1, -1);
  for (size_t i = 0; i < words.size(); ++i) insert(words[i], static_cast<int>(i));
  link();
}

void word_finder::insert(std::string_view word, int index) {
  uint32_t node = root;
  for (const char c : word) {
    const uint8_t letter = letter_of_[static_cast<uint8_t>(c)];
    if (next(node, letter) == root) {
      next(node, letter) = static_cast<uint32_t>(word_at_.size());
      next_.resize(next_.size() + letters_, root);
      word_at_.push_back(-1);
    }
    node = next(node, letter);
  }
  word_at_[node] = index;
}

// Makes of the tree the automaton: where no child is, the child of the longest suffix takes its place.
void word_finder::link() {
  shorter_.assign(word_at_.size(), root);
  std::vector<uint32_t> suffix(word_at_.size(), root);
  std::vector<uint32_t> queue{root}; // breadth first: a suffix is shorter, and so done before
  for (size_t at = 0; at < queue.size(); ++at) {
    const uint32_t node = queue[at];
    for (size_t i = 1; i < letters_; ++i) {
      const auto letter = static_cast<uint8_t>(i);
      const uint32_t fallback = node == root ? root : next(suffix[node], letter);
      const uint32_t child = next(node, letter);
      if (child == root) {
        next(node, letter) = fallback;
        continue;
      }
      suffix[child] = fallback;
      shorter_[child] = word_at_[fallback] >= 0 ? fallback : shorter_[fallback];
      queue.push_back(child);
    }
  }
}

void word_finder::find(std::string_view text, std::vector<int>& out) const {
  out.clear();
  uint32_t node = root;
  for (const char c : text) {
    node = next_[node * letters_ + letter_of_[static_cast<uint8_t>(c)]];
    for (uint32_t at = word_at_[node] >= 0 ? node : shorter_[node]; at != root; at = shorter_[at]) out.push_back(word_at_[at]);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

} // namespace adtrack
