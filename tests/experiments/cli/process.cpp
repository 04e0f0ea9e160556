#include "tests/experiments/cli/process.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {
namespace {

int open_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    throw std::runtime_error("cannot write " + path);
  }
  return descriptor;
}

int start(const std::vector<std::string>& arguments, int out, int err, const std::string& database = {}) {
  std::vector<std::string> words{COSEARCH_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  if (database.empty()) {
    ::unsetenv("COSEARCH_DB");
  } else {
    ::setenv("COSEARCH_DB", database.c_str(), 1);
  }
  const int pid = ::fork();
  if (pid == 0) {
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return pid;
}

int wait_for(int pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ProcessResult run_cosearch(const std::vector<std::string>& arguments, const std::string& database) {
  const TemporaryFolder folder;
  const int out = open_file(folder.file("out"));
  const int err = open_file(folder.file("err"));
  ProcessResult result;
  result.exit_code = wait_for(start(arguments, out, err, database));
  ::close(out);
  ::close(err);
  result.out = read_bytes(folder.file("out"));
  result.err = read_bytes(folder.file("err"));
  return result;
}

ProcessResult run_cosearch_into_closed_pipe(const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe");
  }
  ::close(ends[0]);
  const int err = open_file(folder.file("err"));
  ProcessResult result;
  result.exit_code = wait_for(start(arguments, ends[1], err));
  ::close(ends[1]);
  ::close(err);
  result.err = read_bytes(folder.file("err"));
  return result;
}

Process::Process(const std::vector<std::string>& arguments, const std::string& error_file) : pid_(-1) {
  const int out = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const int err = open_file(error_file);
  pid_ = start(arguments, out, err);
  ::close(out);
  ::close(err);
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    static_cast<void>(wait_for(pid_));
  }
}

void Process::send(int signal) const { ::kill(pid_, signal); }

int Process::wait() {
  const int code = wait_for(pid_);
  pid_ = -1;
  return code;
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path);
  }
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> list;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    list.push_back(line);
  }
  return list;
}

}  // namespace cosearch::testing_support
