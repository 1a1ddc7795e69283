// Removing what dead runs left behind.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "region.h"

namespace fusee {
namespace {

// A region is swept only when the owner its header names is gone. Headers are whole before a name appears, so
// a file without the magic number is not one of ours and stays.
bool isStale(int fd) {
  struct {
    uint64_t magic;
    uint32_t version;
    uint32_t ready;
    ProcessToken owner;
  } head;
  struct stat found;
  if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode) || found.st_uid != geteuid()) return false;
  if (pread(fd, &head, sizeof head, 0) != static_cast<ssize_t>(sizeof head)) return false;
  return head.magic == kRegionMagic && !isAlive(head.owner);
}

// Two sweepers must not remove one file twice, since between the two a new region may take the name: the lock
// lets one of them act, and under it the name is seen to lead to this very file. A dead owner cannot
// interfere.
bool removeLocked(int fd, const std::string& path) {
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return false;
  struct stat opened;
  struct stat named;
  const bool isSame = fstat(fd, &opened) == 0 && lstat(path.c_str(), &named) == 0 &&
                      opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
  return isSame && unlink(path.c_str()) == 0;
}

}  // namespace

std::vector<std::string> sweepRegions(const std::string& prefix) {
  std::vector<std::string> swept;
  DIR* folder = opendir(kShmFolder);
  if (folder == nullptr) return swept;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (!isRegionName(name) || !name.starts_with(prefix)) continue;
    const std::string path = std::string(kShmFolder) + "/" + name;
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) continue;
    if (isStale(fd) && removeLocked(fd, path)) swept.push_back(name);
    close(fd);
  }
  closedir(folder);
  return swept;
}

}  // namespace fusee
