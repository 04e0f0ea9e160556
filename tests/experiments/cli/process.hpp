#pragma once

#include <string>
#include <vector>

/// The real binary, run as a user would.
namespace cosearch::testing_support {

struct ProcessResult {
  int exit_code = -1;  ///< 128 + signal when it was killed
  std::string out;
  std::string err;
};

/// Runs `cosearch` with the arguments and waits for it. COSEARCH_DB is `database`, unset when that is empty.
[[nodiscard]] ProcessResult run_cosearch(const std::vector<std::string>& arguments, const std::string& database = {});
/// The same with a standard output that nobody reads.
[[nodiscard]] ProcessResult run_cosearch_into_closed_pipe(const std::vector<std::string>& arguments);

/// `cosearch` in the background.
class Process {
 public:
  /// Standard error goes to the file.
  Process(const std::vector<std::string>& arguments, const std::string& error_file);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();
  void send(int signal) const;
  [[nodiscard]] int wait();  ///< exit code, 128 + signal when it was killed

 private:
  int pid_;
};

[[nodiscard]] std::string read_bytes(const std::string& path);
void write_bytes(const std::string& path, const std::string& bytes);
[[nodiscard]] std::vector<std::string> lines(const std::string& text);

}  // namespace cosearch::testing_support
