// Tells ThreadSanitizer how actors synchronise. The packaged CAF is not instrumented, so its lock-free mailboxes and reference
// counts are invisible, and every message would look like a race. Preloaded by `check.sh tsan`: each function below stands before
// CAF's own of that name, states the order that it makes, and calls it. What CAF locks with a mutex is seen without help.
// A wrong name only brings the false reports back: nothing is hidden here. Names are those of CAF 0.17.6 on 64-bit Linux.
#include <dlfcn.h>

#include <cstddef>
#include <cstdlib>

// Of ThreadSanitizer; missing in programs without it, such as the Python that starts the suites.
extern "C" void __tsan_acquire(void* at) __attribute__((weak));
extern "C" void __tsan_release(void* at) __attribute__((weak));

namespace {

// What was done before a release of an address is visible after an acquire of it.
void acquire(void* at) {
  if (__tsan_acquire) __tsan_acquire(at);
}
void release(void* at) {
  if (__tsan_release) __tsan_release(at);
}

template <class Function>
Function next(Function, const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort(); // another CAF: the names must be brought up to date
  return reinterpret_cast<Function>(found);
}

} // namespace

// Arguments are pointers and words only (a std::unique_ptr by value travels as its address), so plain C functions fit.
#define REAL(NAME, SYMBOL) static const auto real = next(&NAME, SYMBOL)

// --- a message: who sent it comes before who handles it ---

#define SCHEDULED_ENQUEUE                                                                                                        \
  "_ZN3caf15scheduled_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_6detail8disposerEEPNS_14execution_unitE"
extern "C" void scheduled_enqueue(void* self, void** element, void* host) __asm__(SCHEDULED_ENQUEUE);
extern "C" void scheduled_enqueue(void* self, void** element, void* host) {
  REAL(scheduled_enqueue, SCHEDULED_ENQUEUE);
  release(*element);
  real(self, element, host);
}

#define BLOCKING_ENQUEUE                                                                                                         \
  "_ZN3caf14blocking_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_6detail8disposerEEPNS_14execution_unitE"
extern "C" void blocking_enqueue(void* self, void** element, void* host) __asm__(BLOCKING_ENQUEUE);
extern "C" void blocking_enqueue(void* self, void** element, void* host) {
  REAL(blocking_enqueue, BLOCKING_ENQUEUE);
  release(*element);
  real(self, element, host);
}

#define SCHEDULED_VISIT "_ZN3caf15scheduled_actor15mailbox_visitorclERNS_15mailbox_elementE"
extern "C" int scheduled_visit(void** visitor, void* element) __asm__(SCHEDULED_VISIT);
extern "C" int scheduled_visit(void** visitor, void* element) {
  REAL(scheduled_visit, SCHEDULED_VISIT);
  void* const self = *visitor; // the actor; it handles one message after the other, on whatever thread
  acquire(element);
  acquire(self);
  const int how = real(visitor, element);
  release(self);
  return how;
}

#define BLOCKING_VISIT "_ZN3caf14blocking_actor15mailbox_visitorclERNS_15mailbox_elementE"
extern "C" int blocking_visit(void* visitor, void* element) __asm__(BLOCKING_VISIT);
extern "C" int blocking_visit(void* visitor, void* element) {
  REAL(blocking_visit, BLOCKING_VISIT);
  acquire(element);
  return real(visitor, element);
}

// A message that nobody handles, as its actor has ended.
#define DISPOSE "_ZNK3caf14memory_managed16request_deletionEb"
extern "C" void dispose(void* managed, bool decremented) __asm__(DISPOSE);
extern "C" void dispose(void* managed, bool decremented) {
  REAL(dispose, DISPOSE);
  acquire(managed);
  real(managed, decremented);
}

// --- an actor on the scheduler: one run of it, its start too, comes before the next (the thunk is what the scheduler calls) ---

#define RESUME "_ZThn160_N3caf15scheduled_actor6resumeEPNS_14execution_unitEm"
extern "C" int scheduled_resume(void* self, void* host, size_t most) __asm__(RESUME);
extern "C" int scheduled_resume(void* self, void* host, size_t most) {
  REAL(scheduled_resume, RESUME);
  acquire(self);
  const int how = real(self, host, most);
  release(self);
  return how;
}

// --- a reference count: every use comes before the destruction ---

#define DEREF "_ZNK3caf11ref_counted5derefEv"
extern "C" void deref(void* counted) __asm__(DEREF);
extern "C" void deref(void* counted) {
  REAL(deref, DEREF);
  release(counted);
  acquire(counted);
  real(counted);
}

#define RELEASE_ACTOR "_ZN3caf21intrusive_ptr_releaseEPNS_19actor_control_blockE"
extern "C" void release_actor(void* block) __asm__(RELEASE_ACTOR);
extern "C" void release_actor(void* block) {
  REAL(release_actor, RELEASE_ACTOR);
  release(block);
  acquire(block);
  real(block);
}

#define RELEASE_WEAK "_ZN3caf26intrusive_ptr_release_weakEPNS_19actor_control_blockE"
extern "C" void release_weak(void* block) __asm__(RELEASE_WEAK);
extern "C" void release_weak(void* block) {
  REAL(release_weak, RELEASE_WEAK);
  release(block);
  acquire(block);
  real(block);
}
