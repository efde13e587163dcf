// aurora_sim: runs seeds, in several processes, and says what they reached.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "sim/report.h"
#include "sim/world.h"

namespace {

using namespace aurora::sim;

constexpr unsigned kLook_us = 20'000;  // at the workers
constexpr unsigned kLongestRun_s = 120;  // of one seed, on a slow machine

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1;
  int jobs = 1;
  bool trace = false;
  bool twice = false;
  std::string program;
};

// What the worker processes have done so far.
struct Shared {
  std::atomic<std::uint64_t> done;
  std::atomic<std::uint64_t> switches;
  std::atomic<std::uint64_t> virtual_ms;
  std::atomic<std::uint64_t> windows[kWindows];
};

struct Result {
  std::uint64_t digest = 0;
  std::uint64_t switches = 0;
  Time time{0};
  Windows windows{};
};

Result run_seed(const Options& options, std::uint64_t seed) {
  Run run(seed, options.trace,
          options.program + " --seed " + std::to_string(seed) + " --trace");
  Random random(seed);
  Random schedule(~seed);
  // Never 0: a thread that looks again and again must let the others in.
  const double preemption =
      random.chance(0.5) ? 0.0005 : 0.002 * static_cast<double>(1 + random.below(50));
  Scheduler scheduler(schedule, preemption);
  Result result;
  {
    World world(scheduler, random);
    scheduler.run([&] { world.run(); });
  }
  result.digest = run.digest();
  result.switches = scheduler.switches();
  result.time = scheduler.now();
  result.windows = run.windows();
  return result;
}

// A crash of the product itself, or a run that does not end, names its seed, too.
void on_signal(int number) {
  if (Run* const run = Run::current()) {
    run->print_end(number == SIGALRM ? "broken: a run has an end"
                                     : "broken: the program does not crash",
                   strsignal(number));
  }
  signal(number, SIG_DFL);
  raise(number);
}

void work(const Options& options, int job, Shared* shared) {
  for (const int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGALRM}) signal(number, on_signal);
  register_vfs();
  for (std::uint64_t i = static_cast<std::uint64_t>(job); i < options.seeds;
       i += static_cast<std::uint64_t>(options.jobs)) {
    const std::uint64_t seed = options.first + i;
    alarm(kLongestRun_s);
    const Result result = run_seed(options, seed);
    if (options.twice && run_seed(options, seed).digest != result.digest) {
      std::fprintf(stderr, "seed %llu: two runs of it differ\n",
                   static_cast<unsigned long long>(seed));
      _exit(1);
    }
    ++shared->done;
    shared->switches += result.switches;
    shared->virtual_ms += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(result.time).count());
    for (std::size_t w = 0; w < kWindows; ++w) shared->windows[w] += result.windows[w] > 0 ? 1 : 0;
  }
}

int usage(const char* program) {
  std::fprintf(stderr,
               "usage: %s [--seed N] [--seeds COUNT] [--jobs N] [--trace] [--twice]\n\n"
               "Runs COUNT seeds from N on (1), and stops at the first that breaks an invariant.\n"
               "  --trace   prints every step\n"
               "  --twice   runs each seed twice: both must be the same\n"
               "With 500 seeds and more, every dangerous window must have been reached.\n",
               program);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.program = argv[0];
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return ++i < argc ? std::strtoull(argv[i], nullptr, 10) : 0; };
    if (word == "--seed") {
      options.first = number();
    } else if (word == "--seeds") {
      options.seeds = number();
    } else if (word == "--jobs") {
      options.jobs = static_cast<int>(number());
    } else if (word == "--trace") {
      options.trace = true;
    } else if (word == "--twice") {
      options.twice = true;
    } else {
      return usage(argv[0]);
    }
  }
  if (options.seeds == 0 || options.jobs < 1) return usage(argv[0]);

  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  Shared* const shared = new (memory) Shared{};
  const auto began = std::chrono::steady_clock::now();

  std::vector<pid_t> workers;
  for (int job = 0; job < options.jobs; ++job) {
    const pid_t worker = fork();
    if (worker == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      work(options, job, shared);
      std::exit(0);
    }
    workers.push_back(worker);
  }
  bool failed = false;
  while (!workers.empty()) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, WNOHANG);
    if (ended == 0) {
      usleep(kLook_us);
      if (isatty(STDERR_FILENO)) {
        std::fprintf(stderr, "\r%llu of %llu seeds ",
                     static_cast<unsigned long long>(shared->done.load()),
                     static_cast<unsigned long long>(options.seeds));
      }
      continue;
    }
    workers.erase(std::remove(workers.begin(), workers.end(), ended), workers.end());
    if (status == 0 || failed) continue;
    failed = true;
    for (const pid_t worker : workers) kill(worker, SIGKILL);
  }
  if (failed) return 1;

  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::uint64_t never = 0;
  std::printf("%9s  window\n", "seeds");
  for (std::size_t w = 0; w < kWindows; ++w) {
    const std::uint64_t count = shared->windows[w];
    never += count == 0 ? 1 : 0;
    std::printf("%9llu  %s\n", static_cast<unsigned long long>(count),
                name_of(static_cast<Window>(w)));
  }
  std::printf("\n%llu seeds, %.0f s of virtual time, %llu switches of threads, in %.1f s (%.0f/s)\n",
              static_cast<unsigned long long>(shared->done.load()),
              static_cast<double>(shared->virtual_ms.load()) / 1000,
              static_cast<unsigned long long>(shared->switches.load()), took,
              static_cast<double>(shared->done.load()) / took);
  constexpr std::uint64_t kEnough = 500;
  if (options.seeds >= kEnough && never > 0) {
    std::fprintf(stderr, "%llu dangerous windows were never reached\n",
                 static_cast<unsigned long long>(never));
    return 1;
  }
  return 0;
}
