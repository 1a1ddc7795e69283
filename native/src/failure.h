// How native code says that something did not work: a value, since the addon is built without exceptions.
#pragma once
#include <cerrno>
#include <cstring>
#include <string>

namespace fusee {

// USAGE: the caller is wrong. FABRIC: the outside failed. TypeScript makes its own errors from the code.
struct Failure {
  const char* code = "FABRIC";
  std::string message;

  void usage(std::string text) {
    code = "USAGE";
    message = std::move(text);
  }
  void fabric(std::string text) {
    code = "FABRIC";
    message = std::move(text);
  }
  // As fabric(), with the reason that errno holds.
  void system(const std::string& text, int error = errno) { fabric(text + ": " + std::strerror(error)); }
};

}  // namespace fusee
