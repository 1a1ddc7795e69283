// A region appears under its name only when its header is whole. It is made as a nameless file (O_TMPFILE,
// which tmpfs supports), gets its memory and header, and is then linked: linkat fails if the name exists,
// which is the O_EXCL of this design. So a run that dies half way leaves nothing, and whoever finds a name
// finds an owner in it: sweeping needs no guess about the age of a file, and there is no moment between open
// and header to guard.
#include "region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

namespace fusee {
namespace {

std::string pathOf(const std::string& name) { return std::string(kShmFolder) + "/" + name; }

std::string processText(ProcessToken token) { return "process " + std::to_string(tokenPid(token)); }

// process.exit() ends a Node process without running the cleanup hooks of its main environment; exit()
// handlers do run. So owned names are listed here and removed there.
struct OwnedName {
  const Region* region;
  std::string path;
  uint64_t device;
  uint64_t inode;
  pid_t pid;
};
std::mutex& ownedMutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
std::vector<OwnedName>& ownedNames() {
  static auto* names = new std::vector<OwnedName>;
  return *names;
}

// Only the very file: the name may have been removed by hand and taken by another region since.
void unlinkIfSame(const OwnedName& owned) {
  struct stat now;
  if (lstat(owned.path.c_str(), &now) == 0 && now.st_dev == owned.device && now.st_ino == owned.inode) {
    unlink(owned.path.c_str());
  }
}

void unlinkAllOwned() {
  const std::lock_guard lock(ownedMutex());
  for (const OwnedName& owned : ownedNames()) {
    if (owned.pid != getpid()) continue;
    __atomic_store_n(&owned.region->header()->dead, 1, __ATOMIC_SEQ_CST);
    unlinkIfSame(owned);
  }
  ownedNames().clear();
}

// Too little memory is found before anything is made; the reservation still decides, since others race for
// it.
bool hasRoom(const std::string& name, uint64_t bytes, Failure& failure) {
  struct statvfs fs;
  if (statvfs(kShmFolder, &fs) != 0) {
    failure.system(std::string(kShmFolder) + " cannot be examined");
    return false;
  }
  const uint64_t available = static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize;
  if (fs.f_blocks == 0 || bytes <= available) return true;
  failure.fabric("region " + name + " needs " + std::to_string(bytes) + " bytes of shared memory, " +
                 kShmFolder + " has " + std::to_string(available) +
                 " available: choose less memory per node, or enlarge it " +
                 "(mount -o remount,size=..., docker run --shm-size=...)");
  return false;
}

// Reserves every page now, so that no access can meet a full file system (SIGBUS) later.
bool reserve(int fd, const std::string& name, uint64_t bytes, Failure& failure) {
  int error;
  do {
    error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  if (error == 0) return true;
  failure.system("region " + name + " cannot reserve " + std::to_string(bytes) + " bytes in " + kShmFolder,
                 error);
  return false;
}

uint8_t* map(int fd, const std::string& name, uint64_t bytes, Failure& failure) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base != MAP_FAILED) return static_cast<uint8_t*>(base);
  failure.system("region " + name + " cannot be mapped");
  return nullptr;
}

void explainCollision(const std::string& name, Failure& failure) {
  Failure ignored;
  const auto existing = Region::inspect(name, ignored);
  if (existing == nullptr) {
    failure.fabric("region " + name + " exists already: " + ignored.message);
    return;
  }
  const ProcessToken owner = existing->header()->owner;
  if (isAlive(owner)) {
    failure.fabric("region " + name + " exists already, held by " + processText(owner) +
                   ": stop that pool or choose another name");
  } else {
    failure.fabric("region " + name + " was left behind by " + processText(owner) +
                   ", which is gone: sweep it, as every start of fusee node does, then start again");
  }
}

}  // namespace

bool isRegionName(const std::string& name) {
  if (!name.starts_with("fusee-") || name.size() <= 6 || name.size() > 200) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::shared_ptr<Region> Region::create(const std::string& name, uint64_t memoryBytes, bool prefault,
                                       Failure& failure) {
  const uint64_t bytes = kHeaderBytes + memoryBytes;
  if (!isRegionName(name)) {
    failure.usage("\"" + name + "\" is no region name: fusee- and then at most 194 of a-z A-Z 0-9 . _ -");
    return nullptr;
  }
  if (access(pathOf(name).c_str(), F_OK) == 0) {
    explainCollision(name, failure);
    return nullptr;
  }
  if (!hasRoom(name, bytes, failure)) return nullptr;
  const int fd = ::open(kShmFolder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    failure.system("region " + name + " cannot be made in " + kShmFolder);
    return nullptr;
  }
  uint8_t* base = nullptr;
  struct stat made;
  // The umask can only narrow the mode; a mode narrower than 0600 would shut out the node's own clients.
  if (fchmod(fd, 0600) != 0 || fstat(fd, &made) != 0) {
    failure.system("region " + name + " cannot be set up");
  } else if (reserve(fd, name, bytes, failure)) {
    base = map(fd, name, bytes, failure);
  }
  if (base == nullptr) {
    close(fd);
    return nullptr;
  }
  std::shared_ptr<Region> region(new Region(name, base, memoryBytes));
  RegionHeader* header = region->header();
  header->magic = kRegionMagic;
  header->version = kFabricVersion;
  header->owner = selfToken();
  header->memoryBytes = memoryBytes;
  makeLives(header);
  if (prefault && !region->prefault(failure)) {
    close(fd);
    return nullptr;
  }
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  const int linked = linkat(AT_FDCWD, self.c_str(), AT_FDCWD, pathOf(name).c_str(), AT_SYMLINK_FOLLOW);
  const int error = errno;
  close(fd);
  if (linked != 0) {
    if (error == EEXIST) explainCollision(name, failure);
    else failure.system("region " + name + " cannot be given its name", error);
    return nullptr;
  }
  region->own(made.st_dev, made.st_ino);
  return region;
}

std::shared_ptr<Region> Region::open(const std::string& name, Failure& failure) {
  if (!isRegionName(name)) {
    failure.usage("\"" + name + "\" is no region name: fusee- and then at most 194 of a-z A-Z 0-9 . _ -");
    return nullptr;
  }
  const int fd = ::open(pathOf(name).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    if (errno == ENOENT) failure.fabric("region " + name + " is not there: start its memory node first");
    else failure.system("region " + name + " cannot be opened");
    return nullptr;
  }
  struct stat found;
  RegionHeader* header = nullptr;
  uint8_t* base = nullptr;
  if (fstat(fd, &found) != 0) {
    failure.system("region " + name + " cannot be examined");
  } else if (found.st_uid != geteuid()) {
    failure.fabric("region " + name + " belongs to user " + std::to_string(found.st_uid) +
                   ", this process runs as user " + std::to_string(geteuid()) +
                   ": run node and client as one user");
  } else if (!S_ISREG(found.st_mode) || (found.st_mode & 077) != 0) {
    char mode[16];
    std::snprintf(mode, sizeof mode, "%04o", found.st_mode & 07777);
    failure.fabric("region " + name + " has mode " + mode +
                   ", others could change it: only 0600 is accepted");
  } else if (static_cast<uint64_t>(found.st_size) < kHeaderBytes) {
    failure.fabric("region " + name + " holds only " + std::to_string(found.st_size) +
                   " bytes: it is no region");
  } else {
    base = map(fd, name, static_cast<uint64_t>(found.st_size), failure);
  }
  close(fd);
  if (base == nullptr) return nullptr;
  std::shared_ptr<Region> region(new Region(name, base, static_cast<uint64_t>(found.st_size) - kHeaderBytes));
  header = region->header();
  if (header->magic != kRegionMagic) {
    failure.fabric("region " + name + " does not begin with the magic number of a region");
    return nullptr;
  }
  if (header->version != kFabricVersion) {
    failure.fabric("region " + name + " has fabric version " + std::to_string(header->version) +
                   ", this program speaks " + std::to_string(kFabricVersion) +
                   ": run node and client from one version");
    return nullptr;
  }
  if (header->memoryBytes != region->memoryBytes_) {
    failure.fabric("region " + name + " says " + std::to_string(header->memoryBytes) + " bytes and holds " +
                   std::to_string(region->memoryBytes_));
    return nullptr;
  }
  return region;
}

std::shared_ptr<Region> Region::inspect(const std::string& name, Failure& failure) {
  return open(name, failure);
}

std::shared_ptr<Region> Region::attach(const std::string& name, bool prefault, Failure& failure) {
  std::shared_ptr<Region> region = open(name, failure);
  if (region == nullptr) return nullptr;
  const RegionHeader* header = region->header();
  if (!isAlive(header->owner)) {
    failure.fabric("region " + name + " was left behind by " + processText(header->owner) +
                   ", which is gone, and its keys with it: end the pool's other nodes, if it has any, " +
                   "and start the pool anew");
    return nullptr;
  }
  if (region->isDead()) {
    failure.fabric("region " + name + " counts as dead: its memory node, " + processText(header->owner) +
                   ", was silent for longer than its lease; end that process, and start another in its place");
    return nullptr;
  }
  if (__atomic_load_n(&header->ready, __ATOMIC_ACQUIRE) == 0) {
    failure.fabric("region " + name + " is not ready yet: its memory node is still formatting it");
    return nullptr;
  }
  if (prefault && !region->prefault(failure)) return nullptr;
  return region;
}

std::shared_ptr<Region> Region::anonymous(uint64_t memoryBytes, Failure& failure) {
  const uint64_t bytes = kHeaderBytes + memoryBytes;
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    failure.system("no " + std::to_string(bytes) + " bytes of memory");
    return nullptr;
  }
  std::shared_ptr<Region> region(new Region("anonymous", static_cast<uint8_t*>(base), memoryBytes));
  region->header()->owner = selfToken();
  makeLives(region->header());
  region->setReady();
  return region;
}

std::shared_ptr<Region> Region::absent(Failure& failure) {
  std::shared_ptr<Region> region = anonymous(0, failure);
  if (region != nullptr) region->header()->dead = 1;
  return region;
}

bool Region::prefault(Failure& failure) {
  int failed;
  do {
    failed = madvise(base_, kHeaderBytes + memoryBytes_, MADV_POPULATE_WRITE);
  } while (failed != 0 && errno == EINTR);
  // Kernels before 5.14 do not know the advice; the pages then come with the first access.
  if (failed == 0 || errno == EINVAL) return true;
  failure.system("region " + name_ + " cannot be prefaulted");
  return false;
}

void Region::own(uint64_t device, uint64_t inode) {
  isOwner_ = true;
  device_ = device;
  inode_ = inode;
  static std::once_flag once;
  std::call_once(once, [] { std::atexit(unlinkAllOwned); });
  const std::lock_guard lock(ownedMutex());
  ownedNames().push_back({this, pathOf(name_), device, inode, getpid()});
}

void Region::setReady() { __atomic_store_n(&header()->ready, 1, __ATOMIC_RELEASE); }

bool Region::rename(const std::string& name, Failure& failure) {
  if (!isRegionName(name)) {
    failure.usage("\"" + name + "\" is no region name: fusee- and then at most 194 of a-z A-Z 0-9 . _ -");
    return false;
  }
  const std::lock_guard lock(ownedMutex());
  auto& names = ownedNames();
  const auto mine =
      std::find_if(names.begin(), names.end(), [this](const OwnedName& o) { return o.region == this; });
  if (mine == names.end() || ::rename(mine->path.c_str(), pathOf(name).c_str()) != 0) {
    failure.system("region " + name_ + " cannot take the name " + name);
    return false;
  }
  name_ = name;
  mine->path = pathOf(name);
  return true;
}

void Region::retire() {
  if (!isOwner_) return;
  isOwner_ = false;
  __atomic_store_n(&header()->dead, 1, __ATOMIC_SEQ_CST);
  const std::lock_guard lock(ownedMutex());
  auto& names = ownedNames();
  const auto mine =
      std::find_if(names.begin(), names.end(), [this](const OwnedName& o) { return o.region == this; });
  if (mine == names.end()) return;
  unlinkIfSame(*mine);
  names.erase(mine);
}

Region::~Region() {
  retire();
  munmap(base_, kHeaderBytes + memoryBytes_);
}

}  // namespace fusee
