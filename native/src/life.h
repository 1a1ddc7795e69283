// Whether the thread that executes a client's verbs lives, told by the kernel at its very end.
//
// A process that is killed gives its memory back ahead of its sockets, which takes some 100 ms for some 100s
// of MiB, and others can see it as long. Its threads stop executing at once. So a session holds a robust
// mutex in each region for as long as it is attached, on its own thread: the kernel marks it when that thread
// ends, before anything is given back. Whoever finds the mark knows that nothing posted there executes any
// more.
#pragma once
#include <pthread.h>

#include <cstdint>

#include "process.h"

namespace fusee {

struct RegionHeader;

struct alignas(64) Life {
  pthread_mutex_t mutex;
  ProcessToken holder;  // set while the mutex is held, and by its holder only
};
static_assert(sizeof(Life) == 64);

// Of a region that is being made.
void makeLives(RegionHeader* header);

// Holds that life for this process, on this thread; false: somebody has it, and nothing will be told of this
// one's end but what /proc tells.
bool holdLife(Life& life, ProcessToken self);
// On the same thread, ahead of the end of the region's mapping.
void releaseLife(Life& life);
// The thread of `token` that held it has ended, and had not released it.
bool hasEnded(const Life& life, ProcessToken token);

}  // namespace fusee
