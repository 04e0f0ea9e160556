#include "tests/hwmodels/asic/timeloop_cases.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

namespace cosearch::testing {
namespace {

const std::string kData = std::string(COSEARCH_SOURCE_DIR) + "/tests/data/timeloop_eyeriss256";

/// Timeloop's cnn-layer: sizes R S P Q C K N, strides and dilations.
ir::Workload cnn_layer(const std::string& problem) {
  std::map<std::string, std::string> size;
  std::istringstream words(problem);
  for (std::string word; words >> word;) {
    const std::size_t equal = word.find('=');
    size[word.substr(0, equal)] = word.substr(equal + 1);
  }
  std::string text =
      "workload cnn\ninput Inputs activation int16 [1,1,1,1]\ntensor Weights weight int16 [1,1,1,1]\n"
      "output Outputs activation int16 [1,1,1,1]\neinsum layer";
  for (const char* loop : {"R", "S", "P", "Q", "C", "K", "N"}) {
    text += std::string(" ") + loop + "<" + size.at(loop);
  }
  text += " : Outputs[N,K,P,Q] += mul(Weights[K,C,R,S], Inputs[N,C," + size.at("Wstride") + "*P+" +
          size.at("Wdilation") + "*R," + size.at("Hstride") + "*Q+" + size.at("Hdilation") + "*S])\n";
  return ir::parse_workload(text);
}

std::size_t position(const std::vector<std::string>& names, const std::string& name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) {
      return i;
    }
  }
  ADD_FAILURE() << name;
  return 0;
}

TimeloopRow row_of(std::istringstream& cells, const asic::Arch& arch) {
  std::vector<std::string> levels;
  for (const asic::MemoryLevel& level : arch.levels) {
    levels.push_back(level.name);
  }
  TimeloopRow row;
  std::string cell;
  std::getline(cells, cell, ',');
  row.level = position(levels, cell);
  std::getline(cells, cell, ',');
  row.tensor = position({"Weights", "Inputs", "Outputs"}, cell);
  for (std::int64_t* value :
       {&row.partition, &row.tile, &row.instances, &row.reads, &row.updates, &row.fills, &row.temporal_reductions}) {
    std::getline(cells, cell, ',');
    *value = std::stoll(cell);
  }
  std::getline(cells, cell, ',');
  row.energy_pj = std::stod(cell);
  return row;
}

std::map<std::string, std::vector<TimeloopRow>> read_rows(const asic::Arch& arch) {
  std::map<std::string, std::vector<TimeloopRow>> rows;
  std::ifstream file(kData + ".csv");
  bool header = true;
  for (std::string line; std::getline(file, line);) {
    if (line[0] == '#') {
      continue;
    }
    if (!header) {
      std::istringstream cells(line);
      std::string name;
      std::getline(cells, name, ',');
      rows[name].push_back(row_of(cells, arch));
    }
    header = false;
  }
  return rows;
}

}  // namespace

std::vector<TimeloopCase> timeloop_cases(const asic::Arch& arch) {
  auto rows = read_rows(arch);
  std::vector<TimeloopCase> cases;
  std::vector<std::string> nests;
  std::ifstream file(kData + "_nests.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    if (line.empty() || line[0] == '#') {
      continue;
    }
    words >> word;
    if (word == "case") {
      cases.emplace_back();
      nests.emplace_back();
      words >> cases.back().name;
      cases.back().rows = rows.at(cases.back().name);
    } else if (word == "problem") {
      cases.back().workload = cnn_layer(line.substr(word.size()));
    } else if (word == "fJ_per_compute") {
      std::string value;
      while (words >> word >> value) {
        cases.back().femtojoules[word] = std::stod(value);
      }
    } else if (word == "result") {
      TimeloopCase& now = cases.back();
      words >> word >> now.utilization >> word >> now.cycles >> word >> now.energy_uj >> word >> now.computes;
    } else {
      nests.back() += line + "\n";
    }
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    cases[i].nest = asic::parse_nest(nests[i], cases[i].workload, cases[i].workload.einsums[0], arch);
  }
  return cases;
}

}  // namespace cosearch::testing
