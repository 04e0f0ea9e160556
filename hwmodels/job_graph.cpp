#include "hwmodels/job_graph.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "spaces/base/check.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch {
namespace {

bool* bias_of(graph::Op& op) {
  if (auto* conv = std::get_if<graph::Conv2d>(&op)) {
    return &conv->bias;
  }
  auto* linear = std::get_if<graph::Linear>(&op);
  return linear != nullptr ? &linear->bias : nullptr;
}

bool is_linear_map(const graph::Op& op) {
  return std::holds_alternative<graph::Conv2d>(op) || std::holds_alternative<graph::Linear>(op) ||
         std::holds_alternative<graph::PatchEmbed>(op);
}

std::vector<int> tasks_of(const Job& job) {
  std::vector<int> tasks = job.tasks;
  if (tasks.empty()) {
    tasks.resize(std::get<graph::NetworkGraph>(job.model).outputs.size());
    std::iota(tasks.begin(), tasks.end(), 0);
  }
  return tasks;
}

}  // namespace

graph::NetworkGraph job_graph(const Job& job) {
  const auto& whole = std::get<graph::NetworkGraph>(job.model);
  if (job.tasks.empty()) {
    return whole;
  }
  if (job.tasks.size() == 1) {
    return graph::task_network(whole, job.tasks[0]);
  }
  std::vector<bool> needed(whole.nodes.size(), false);
  needed[0] = true;  // the Input
  std::vector<int> outputs;
  for (const int task : job.tasks) {
    COSEARCH_CHECK(task >= 0 && task < static_cast<int>(whole.outputs.size()), "a task that the network does not have");
    outputs.push_back(whole.outputs[static_cast<std::size_t>(task)]);
    needed[static_cast<std::size_t>(outputs.back())] = true;
  }
  for (std::size_t i = whole.nodes.size(); i-- > 0;) {
    if (needed[i]) {
      for (const int input : whole.nodes[i].inputs) {
        needed[static_cast<std::size_t>(input)] = true;
      }
    }
  }
  graph::NetworkGraph part{whole.name, {}, {}};
  std::vector<int> index(whole.nodes.size(), -1);
  for (std::size_t i = 0; i < whole.nodes.size(); ++i) {
    if (!needed[i]) {
      continue;
    }
    graph::Node node = whole.nodes[i];
    for (int& input : node.inputs) {
      input = index[static_cast<std::size_t>(input)];
    }
    index[i] = static_cast<int>(part.nodes.size());
    part.nodes.push_back(std::move(node));
  }
  for (const int output : outputs) {
    part.outputs.push_back(index[static_cast<std::size_t>(output)]);
  }
  return part;
}

std::vector<Job> task_jobs(const Job& job) {
  return graph::routes_by_task(std::get<graph::NetworkGraph>(job.model)) ? each_task(job) : std::vector{job};
}

std::vector<Job> each_task(const Job& job) {
  const std::vector<int> tasks = tasks_of(job);
  if (tasks.size() == 1) {
    return {job};
  }
  std::vector<Job> jobs;
  for (const int task : tasks) {
    jobs.push_back(job);
    jobs.back().tasks = {task};
  }
  return jobs;
}

std::vector<double> job_params(std::span<const Job> jobs) {
  std::vector<double> params;
  std::set<int> tasks;  // of the network whose tasks run
  std::set<std::string> counted;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& network = std::get<graph::NetworkGraph>(jobs[i].model);
    const std::vector<int> own = tasks_of(jobs[i]);
    const bool again = std::any_of(own.begin(), own.end(), [&](int task) { return tasks.contains(task); });
    if (again || (i > 0 && jobs[i].model != jobs[i - 1].model)) {
      tasks.clear();
      counted.clear();
    }
    tasks.insert(own.begin(), own.end());
    double& sum = params.emplace_back(0.0);
    if (own.size() == network.outputs.size() && !graph::routes_by_task(network)) {
      sum = static_cast<double>(graph::total_counts(network).parameters);  // nobody shares them: the quick way
      continue;
    }
    for (const int task : own) {
      for (const graph::WeightSpec& weight : graph::weights(graph::task_network(network, task))) {
        sum += weight.trainable && counted.insert(weight.name).second ? static_cast<double>(weight.elements()) : 0.0;
      }
    }
  }
  return params;
}

graph::NetworkGraph fold_batch_norms(const graph::NetworkGraph& network) {
  std::vector<int> readers(network.nodes.size(), 0);
  for (const graph::Node& node : network.nodes) {
    for (const int input : node.inputs) {
      ++readers[static_cast<std::size_t>(input)];
    }
  }
  for (const int output : network.outputs) {
    ++readers[static_cast<std::size_t>(output)];
  }
  graph::NetworkGraph folded{network.name, {}, {}};
  std::vector<int> index(network.nodes.size(), -1);
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    graph::Node node = network.nodes[i];
    if (std::holds_alternative<graph::BatchNorm>(node.op)) {
      const auto input = static_cast<std::size_t>(node.inputs[0]);
      if (is_linear_map(network.nodes[input].op) && readers[input] == 1) {
        index[i] = index[input];
        if (bool* bias = bias_of(folded.nodes[static_cast<std::size_t>(index[i])].op)) {
          *bias = true;
        }
        continue;
      }
    }
    for (int& input : node.inputs) {
      input = index[static_cast<std::size_t>(input)];
    }
    index[i] = static_cast<int>(folded.nodes.size());
    folded.nodes.push_back(std::move(node));
  }
  for (const int output : network.outputs) {
    folded.outputs.push_back(index[static_cast<std::size_t>(output)]);
  }
  return folded;
}

Expected<JobWorkload, Infeasible> job_workload(const Job& job) {
  if (job.batch < 1) {
    return Unexpected{Infeasible{{{"batch", 1.0, static_cast<double>(job.batch)}}, "the batch must be positive"}};
  }
  graph::NetworkGraph network = job_graph(job);
  if (network.outputs.size() > 1 && graph::routes_by_task(network)) {
    return Unexpected{Infeasible{
        {}, "the network routes tokens by task, so each task is a job of its own; the job has several tasks"}};
  }
  const Expected<std::vector<graph::Shape>, std::string> shapes = graph::infer_shapes(network);
  if (!shapes) {
    return Unexpected{Infeasible{{}, "the network is malformed: " + shapes.error()}};
  }
  const graph::Histograms histograms = job.evidence ? job.evidence->histograms : graph::Histograms{};
  if (const std::optional<std::string> reason = graph::wrong_histogram(network, histograms)) {
    return Unexpected{Infeasible{{}, *reason}};
  }
  JobWorkload result;
  result.graph = job.phase == graph::Phase::inference ? fold_batch_norms(network) : std::move(network);
  graph::LoweredNetwork lowered = graph::lower_with_queues(result.graph, job.phase, job.batch, job.types, histograms);
  result.workload = std::move(lowered.workload);
  result.queues = std::move(lowered.queues);
  return result;
}

}  // namespace cosearch
