// Lets ThreadSanitizer see C11's threads, which librdkafka uses: it knows those of POSIX only, and crashes in a callback on a
// thread that it did not see begin. Preloaded by `check.sh tsan`; each function stands before glibc's, which are the same two
// layers down.
#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t) &&
                  sizeof(thrd_t) == sizeof(pthread_t),
              "another C library: C11's objects are not POSIX's here");

pthread_mutex_t* posix(mtx_t* m) { return reinterpret_cast<pthread_mutex_t*>(m); }
pthread_cond_t* posix(cnd_t* c) { return reinterpret_cast<pthread_cond_t*>(c); }

int said(int error) {
  switch (error) {
  case 0: return thrd_success;
  case EBUSY: return thrd_busy;
  case ENOMEM: return thrd_nomem;
  case ETIMEDOUT: return thrd_timedout;
  default: return thrd_error;
  }
}

struct start {
  thrd_start_t function;
  void* argument;
};

void* run(void* given) {
  const auto from = *static_cast<start*>(given);
  delete static_cast<start*>(given);
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(from.function(from.argument)));
}

} // namespace

extern "C" {

int thrd_create(thrd_t* out, thrd_start_t function, void* argument) {
  return said(pthread_create(out, nullptr, run, new start{function, argument}));
}
int thrd_join(thrd_t thread, int* result) {
  void* value = nullptr;
  const int error = pthread_join(thread, &value);
  if (error == 0 && result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(value));
  return said(error);
}

int mtx_init(mtx_t* m, int type) noexcept {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, (type & mtx_recursive) != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
  const int error = pthread_mutex_init(posix(m), &attributes);
  pthread_mutexattr_destroy(&attributes);
  return said(error);
}
int mtx_lock(mtx_t* m) { return said(pthread_mutex_lock(posix(m))); }
int mtx_trylock(mtx_t* m) noexcept { return said(pthread_mutex_trylock(posix(m))); }
int mtx_unlock(mtx_t* m) noexcept { return said(pthread_mutex_unlock(posix(m))); }
void mtx_destroy(mtx_t* m) noexcept { pthread_mutex_destroy(posix(m)); }

int cnd_init(cnd_t* c) noexcept { return said(pthread_cond_init(posix(c), nullptr)); }
int cnd_signal(cnd_t* c) noexcept { return said(pthread_cond_signal(posix(c))); }
int cnd_broadcast(cnd_t* c) noexcept { return said(pthread_cond_broadcast(posix(c))); }
int cnd_wait(cnd_t* c, mtx_t* m) { return said(pthread_cond_wait(posix(c), posix(m))); }
int cnd_timedwait(cnd_t* c, mtx_t* m, const timespec* until) { return said(pthread_cond_timedwait(posix(c), posix(m), until)); }
void cnd_destroy(cnd_t* c) noexcept { pthread_cond_destroy(posix(c)); }

} // extern "C"
