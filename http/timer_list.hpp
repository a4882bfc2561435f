// Deadlines of many connections. Every member of one list has the same time-out, so appending keeps the list sorted and both
// arming and expiring cost a few pointers. Intrusive; one loop's thread.
#pragma once

#include <cstdint>

namespace adtrack::http {

struct timer_node {
  timer_node* previous = nullptr; // null: in no list
  timer_node* next = nullptr;
  int64_t deadline_ms = 0; // steady clock
};

class timer_list {
public:
  timer_list() noexcept { head_.previous = head_.next = &head_; }
  timer_list(const timer_list&) = delete;
  timer_list& operator=(const timer_list&) = delete;

  timer_node* first() noexcept { return head_.next == &head_ ? nullptr : head_.next; }
  void append(timer_node& node, int64_t deadline_ms) noexcept {
    node.deadline_ms = deadline_ms;
    node.previous = head_.previous;
    node.next = &head_;
    node.previous->next = &node;
    head_.previous = &node;
  }
  static void remove(timer_node& node) noexcept {
    if (node.previous == nullptr) return;
    node.previous->next = node.next;
    node.next->previous = node.previous;
    node.previous = node.next = nullptr;
  }

private:
  timer_node head_;
};

} // namespace adtrack::http
