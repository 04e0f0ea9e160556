#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "experiments/store/store.hpp"
#include "hwmodels/data_files.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

// Every mistake of a user: one line on standard error that names the place and what is allowed, the documented exit
// code, nothing on standard output, and every file as it was.
namespace cosearch::testing_support {
namespace {

using nlohmann::json;

struct BadInput {
  std::string name;
  std::vector<std::string> arguments;
  int exit_code;
  std::vector<std::string> says;
};

void run_sql(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message;
  sqlite3_close(database);
}

class BadInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_bytes(folder_->file("good.json"), cost_config().dump());
    const ProcessResult made =
        run_cosearch({"run", folder_->file("good.json"), "--db", folder_->file("good.db"), "--quiet"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  static std::string file(const std::string& name) { return folder_->file(name); }
  static std::string database() { return file("good.db"); }

  /// A config with one value changed, as a file.
  static std::string config(const std::string& name, json config, const std::string& pointer, const json& value) {
    config[json::json_pointer(pointer)] = value;
    return text(name, config.dump(2));
  }
  static std::string text(const std::string& name, const std::string& content) {
    write_bytes(file(name), content);
    return file(name);
  }

  static std::map<std::string, std::string> snapshot() {
    std::map<std::string, std::string> files;
    const std::filesystem::path root = std::filesystem::path(file("x")).parent_path();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string path = entry.path().string();
      // A reader of a WAL database maps shared memory beside it; that file holds no data.
      if (entry.is_regular_file() && !path.ends_with("-shm")) {
        files[path] = read_bytes(path);
      }
    }
    // An empty log is no log.
    std::erase_if(files, [](const auto& entry) { return entry.first.ends_with("-wal") && entry.second.empty(); });
    return files;
  }

  static void expect_refused(const BadInput& input) {
    SCOPED_TRACE(input.name);
    const std::map<std::string, std::string> before = snapshot();
    const ProcessResult result = run_cosearch(input.arguments);
    EXPECT_EQ(result.exit_code, input.exit_code);
    EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
    EXPECT_TRUE(result.err.starts_with("cosearch: error: ")) << result.err;
    for (const std::string& part : input.says) {
      EXPECT_NE(result.err.find(part), std::string::npos) << "gave: " << result.err << "not: " << part;
    }
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(snapshot() == before) << "a file was changed, made or removed";
  }

  static TemporaryFolder* folder_;
};

TemporaryFolder* BadInputTest::folder_ = nullptr;

TEST_F(BadInputTest, ConfigsAreRefusedWithTheirPlace) {
  const json cost = cost_config();
  const json train = train_config();
  const auto run = [&](const std::string& name, const std::string& path, const std::vector<std::string>& says) {
    expect_refused({name, {"run", path, "--db", database(), "--name", "other"}, 2, says});
  };
  run("unknown key", config("c1.json", cost, "/objectivs", 1), {"c1.json: /objectivs", "did you mean \"objectives\""});
  run("wrong type", config("c2.json", cost, "/seed", "one"), {"c2.json: /seed", "0 to 2^64 - 1", "read \"one\""});
  run("out of range", config("c3.json", train, "/screen/share", 1.5), {"/screen/share", "at most 1", "read 1.5"});
  run("min above max", config("c4.json", cost, "/constraints", {{{"metric", "macs"}, {"min", 9}, {"max", 3}}}),
      {"/constraints/0", "min 9 is above max 3"});
  run("limit that nothing meets", config("c5.json", cost, "/constraints", {{{"metric", "latency_ms"}, {"max", -1}}}),
      {"/constraints/0/max", "-1 cannot be met"});
  run("share above one", config("c6.json", train, "/constraints", {{{"metric", "accuracy"}, {"min", 1.01}}}),
      {"/constraints/0/min", "accuracy is at most 1"});
  run("unknown space", config("c7.json", cost, "/space/name", "mobilecnn"), {"/space/name", "mobile_cnn"});
  run("unknown target", config("c8.json", cost, "/target/name", "fpga"), {"/target/name", "cortex_m"});
  run("unknown metric", config("c9.json", cost, "/objectives", {"latency"}), {"/objectives/0", "latency_ms"});
  run("metric of another target", config("c10.json", cost, "/objectives", {"area_mm2"}), {"/objectives/0", "cortex_m"});
  run("accuracy without data", config("c11.json", cost, "/objectives", {"error"}), {"/objectives/0", "\"dataset\""});
  run("empty budget", config("c12.json", cost, "/budget/evaluations", 0), {"/budget/evaluations", "from 1", "read 0"});
  run("no objectives", config("c13.json", cost, "/objectives", json::array()), {"/objectives", "one or more"});
  run("unknown algorithm", config("c14.json", cost, "/search/algorithm", "nsga3"), {"/search/algorithm", "nsga2"});
  run("population above budget", config("c15.json", cost, "/search/population", 64), {"/search/population", "(32)"});
  run("unknown gene", config("c16.json", cost, "/space/genes/widht", 3), {"/space/genes/widht", "is not known"});
  run("gene outside its domain", config("c17.json", cost, "/target/genes", {{"board", "f999"}}),
      {"/target/genes/board", "f746"});
  run("recipe", config("c18.json", train, "/accuracy/optimizer", "lion"), {"/accuracy/optimizer", "adamw"});
  run("broken JSON", text("c19.json", "{\n  \"name\": \"x\",\n  \"seed\" 1\n}"), {"c19.json: line 3, column 10"});
  run("a list for a config", text("c20.json", "[1, 2]"), {"c20.json", "expected an object", "[1,2]"});
  run("a key twice", text("c21.json", "{\"seed\": 1, \"seed\": 2}"), {"c21.json", "\"seed\" is there twice"});
  run("no such file", file("none.json"), {"none.json", "No such file"});
}

TEST_F(BadInputTest, CampaignsOfSeveralTasksAreRefusedWithTheirPlace) {
  json config_of_tasks = cost_config();
  config_of_tasks.erase("task");
  config_of_tasks["space"] = {{"name", "moe_vit"}};
  const json shapes = {{"name", "shapes"}, {"size", 16}, {"train", 16}, {"search", 16}, {"test", 16}};
  config_of_tasks["tasks"] = json::array();
  for (const char* task : {"class", "edges"}) {
    json dataset = shapes;
    dataset["task"] = task;
    config_of_tasks["tasks"].push_back({{"name", std::string("of_") + task}, {"dataset", dataset}});
  }
  const auto refused = [&](const std::string& name, const std::string& path, const std::vector<std::string>& says) {
    expect_refused({name, {"run", path, "--db", file("tasks.db")}, 2, says});
  };
  refused("no tasks", config("t1.json", config_of_tasks, "/tasks", json::array()), {"/tasks", "1 to 16 tasks"});
  refused("more choices than experts", config("t2.json", config_of_tasks, "/space/genes", {{"top_k", 32}}),
          {"/space/genes/top_k", "1, 2, 4"});
  const ProcessResult good = run_cosearch(
      {"run", config("t3.json", config_of_tasks, "/space/genes", {{"top_k", 4}}), "--db", file("tasks.db"), "--quiet"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
}

TEST_F(BadInputTest, DataSetsAreCheckedBeforeAnythingIsStored) {
  json config_of_images = train_config();
  config_of_images["dataset"] = {{"name", "fashion_mnist"}, {"directory", file("images")}};
  config_of_images["space"]["genes"]["resolution"] = 28;
  expect_refused({"missing folder",
                  {"run", text("d1.json", config_of_images.dump()), "--db", file("d1.db")},
                  2,
                  {file("images"), "directory"}});
  std::filesystem::create_directory(file("images"));
  expect_refused({"missing files",
                  {"run", text("d2.json", config_of_images.dump()), "--db", file("d2.db")},
                  2,
                  {"/dataset/directory", "train-images-idx3-ubyte"}});
  for (const char* name :
       {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    write_bytes(file("images") + "/" + name, std::string("\0\0\x08\x03\0\0\xEA\x60\0\0\0\x1C\0\0\0\x1C", 16) + "short");
  }
  expect_refused({"truncated file",
                  {"run", text("d3.json", config_of_images.dump()), "--db", file("d3.db")},
                  2,
                  {"train-images-idx3-ubyte", "47"}});
  expect_refused({"validate", {"validate", file("d3.json")}, 2, {"train-images-idx3-ubyte"}});
}

TEST_F(BadInputTest, FlagsAreRefusedWithWhatIsAllowed) {
  const std::string db = database();
  const std::vector<BadInput> inputs{
      {"no command", {}, 2, {"a command is needed", "query", "run"}},
      {"unknown command", {"qery"}, 2, {"\"qery\" is not known", "did you mean \"query\""}},
      {"unknown noun command", {"spaces", "lst"}, 2, {"\"lst\" is not known", "describe, list"}},
      {"unknown flag", {"query", "--db", db, "--wher", "id = 1"}, 2, {"\"--wher\"", "did you mean \"--where\""}},
      {"unknown format", {"list", "--db", db, "--format", "xml"}, 2, {"--format", "xml", "table", "csv"}},
      {"threads out of range", {"list", "--db", db, "--threads", "-1"}, 2, {"--threads", "-1", "1024"}},
      {"threads no number", {"list", "--db", db, "--threads", "two"}, 2, {"--threads", "two"}},
      {"no database", {"list"}, 2, {"--db", "COSEARCH_DB"}},
      {"bad where", {"query", "--db", db, "--where", "latencyms < 10"}, 2, {"--where: column 1", "latency_ms"}},
      {"half a where", {"query", "--db", db, "--where", "latency_ms <"}, 2, {"--where: column 13", "a number"}},
      {"where is no SQL", {"query", "--db", db, "--where", "1=1; drop table trial"}, 2, {"--where: column 1"}},
      {"bad sort", {"query", "--db", db, "--sort", "-latencyms"}, 2, {"--sort: column 2", "latency_ms"}},
      {"bad columns", {"query", "--db", db, "--columns", "id,foo"}, 2, {"--columns: column 4", "\"foo\""}},
      {"bad limit", {"query", "--db", db, "--limit", "-3"}, 2, {"--limit", "-3"}},
      {"bad objectives", {"pareto", "--db", db, "--objectives", "error"}, 2, {"--objectives", "latency_ms"}},
      {"knee and top", {"pareto", "--db", db, "--knee", "--top-k", "3"}, 2, {"--knee", "--top-k"}},
      {"bad set",
       {"estimate", "--network", "resnet8", "--target", "cortex_m", "--set", "board"},
       2,
       {"--set", "NAME=VALUE"}},
      {"unknown knob",
       {"estimate", "--network", "resnet8", "--target", "cortex_m", "--set", "bord=l4r5"},
       2,
       {"--set/bord", "did you mean \"board\""}},
      {"unknown board",
       {"estimate", "--network", "resnet8", "--target", "cortex_m", "--set", "board=x1"},
       2,
       {"--set/board", "l4r5"}},
      {"unknown network",
       {"estimate", "--network", "resnet9", "--target", "cortex_m"},
       2,
       {"--network", "did you mean \"resnet8\""}},
      {"unknown estimate target",
       {"estimate", "--network", "resnet8", "--target", "cortex"},
       2,
       {"--target", "cortex_m"}},
      {"no target", {"estimate", "--network", "resnet8"}, 2, {"--target: is missing"}},
      {"unknown type",
       {"estimate", "--network", "resnet8", "--target", "cortex_m", "--types", "int4"},
       2,
       {"--types", "int8"}},
      {"nothing to export", {"export", "--db", db, "--to", file("out")}, 2, {"--pareto or --id"}},
      {"unknown export format",
       {"export", "--db", db, "--pareto", "--to", file("out"), "--format", "onnx"},
       2,
       {"--format", "known: c, c_fp32, json"}},
      {"existing campaign", {"run", file("good.json"), "--db", db}, 2, {"--name", "\"tiny\"", "cosearch resume"}},
      {"bad seed", {"run", file("good.json"), "--db", db, "--name", "n", "--seed", "-4"}, 2, {"--seed", "-4"}},
      {"no evaluations", {"resume", "--db", db, "--add-evals", "0"}, 2, {"--add-evals", "0"}},
      {"nothing to validate", {"validate"}, 2, {"a config file or --schema"}},
      {"unknown entry", {"targets", "describe", "cortex"}, 2, {"did you mean \"cortex_m\""}},
      {"no trial named", {"show", "--db", db}, 2, {"number of a trial"}},
  };
  for (const BadInput& input : inputs) {
    expect_refused(input);
  }
}

TEST_F(BadInputTest, NetworkFilesAreRefusedWithTheirPlace) {
  const auto estimate = [&](const std::string& path) {
    return std::vector<std::string>{"estimate", "--network", path, "--target", "cortex_m"};
  };
  expect_refused({"missing", estimate(file("net.json")), 2, {"net.json", "No such file"}});
  expect_refused({"broken", estimate(text("n1.json", "{\"name\": ")), 2, {"n1.json: line 1"}});
  expect_refused({"unknown operator",
                  estimate(text("n2.json", R"({"name": "n", "input": [8, 8, 1], "nodes": [
                      {"name": "c", "op": "conv3d", "inputs": ["input"]}], "outputs": ["c"]})")),
                  2,
                  {"n2.json", "conv3d", "conv2d"}});
  const auto mixture = [](int top_k) {
    return json{{"name", "n"},
                {"input", {8, 16}},
                {"nodes",
                 {{{"name", "moe"},
                   {"op", "moe_ffn"},
                   {"inputs", {"input"}},
                   {"experts", 4},
                   {"top_k", top_k},
                   {"hidden", 4096}}}},
                {"outputs", {"moe"}}}
        .dump();
  };
  expect_refused({"more choices than experts",
                  {"estimate", "--network", text("n4.json", mixture(5)), "--target", "moe_fpga"},
                  2,
                  {"n4.json: /nodes/0", "top_k = 5 is more than its 4 experts"}});
  const ProcessResult large = run_cosearch(
      {"estimate", "--network", text("n5.json", mixture(2)), "--target", "moe_fpga", "--set", "weight_buffer_kib=64"});
  EXPECT_EQ(large.exit_code, 3);
  EXPECT_EQ(large.err, "");
  EXPECT_NE(
      large.out.find("infeasible: moe: weights of an expert of 135,184 bytes do not fit a weight buffer of 65,536"),
      std::string::npos)
      << large.out;
  expect_refused({"design of a later version",
                  estimate(text("n3.json", R"({"network": {}, "schema_version": 99})")),
                  2,
                  {"n3.json", "/schema_version", "99"}});
}

TEST_F(BadInputTest, EinsumsArchitecturesAndMappingsAreRefusedWithTheirPlace) {
  const std::string einsums =
      text("good.einsums",
           "workload p\ninput x activation int8 [4,6]\ntensor w weight int8 [6,8]\noutput y activation int8 [4,8]\n"
           "einsum p m<4 n<8 k<6 : y[m,n] += mul(x[m,k], w[k,n])\n");
  const auto estimate = [&](const std::string& workload, const std::string& arch, const std::string& mapping = "") {
    std::vector<std::string> arguments{"estimate", "--workload", workload, "--arch", arch};
    if (!mapping.empty()) {
      arguments.insert(arguments.end(), {"--mapping", mapping});
    }
    return arguments;
  };
  expect_refused({"neither", {"estimate"}, 2, {"--network: is missing", "--workload"}});
  expect_refused(
      {"both", {"estimate", "--workload", einsums, "--arch", "simba", "--network", "resnet8"}, 2, {"--network"}});
  expect_refused({"no arch", {"estimate", "--workload", einsums, "--mapping", "m"}, 2, {"--mapping requires --arch"}});
  expect_refused(
      {"unknown cascade", {"estimate", "--workload", "cascade:attention"}, 2, {"\"attention\" is not known"}});
  expect_refused({"wrong block",
                  {"estimate", "--workload", "cascade:attention_one_pass", "--set", "M=1000"},
                  2,
                  {"cascade:attention_one_pass: line 5", "1000 / 256"}});
  expect_refused({"undefined tensor",
                  {"estimate", "--workload",
                   text("c1",
                        "workload p\noutput y activation fp16 [4]\n"
                        "einsum p m<4 : y[m] = exp_sub(y[m], z[m])\n")},
                  2,
                  {"c1: line 3", "\"z\" is not known"}});
  expect_refused({"rank mismatch",
                  {"estimate", "--workload",
                   text("c2",
                        "workload p\ninput x activation fp16 [4,2]\n"
                        "output y activation fp16 [4]\n"
                        "einsum p m<4 : y[m] = copy(x[m])\n")},
                  2,
                  {"c2: line 4", "read 1 indices of tensor \"x\", allowed: 2"}});
  expect_refused({"cyclic iteration",
                  {"estimate", "--workload",
                   text("c3",
                        "workload p\ninput x activation fp16 [4]\n"
                        "output s activation fp16 [5]\niteration m<4\n"
                        "einsum p over m m<4 : s[m+1] = add(s[m], x[m])\n")},
                  2,
                  {"c3: line 5", "no initial element"}});
  expect_refused({"missing file", estimate(file("none.txt"), "simba"), 2, {"none.txt", "cannot be read"}});
  expect_refused({"bad einsum",
                  estimate(text("w1", "workload p\neinsum p m<4 : y[m] = copy(x[m])\n"), "simba"),
                  2,
                  {"w1: line 2", "\"y\""}});
  std::vector<std::string> no_vectors = estimate(text("w2",
                                                      "workload p\ninput x activation int8 [4]\n"
                                                      "output y activation int8 [4]\n"
                                                      "einsum p m<4 : y[m] = relu(x[m])\n"),
                                                 "eyeriss_256");
  no_vectors.insert(no_vectors.end(), {"--energy-table", "energy_pat"});
  expect_refused({"no vector operations",
                  no_vectors,
                  2,
                  {"energy_pat.json: /vector_operations", "einsum p", "is not a multiply-accumulate"}});
  expect_refused({"absurd size",
                  estimate(text("w3",
                                "workload p\ninput x activation int8 [4000000000,4000000000]\n"
                                "tensor w weight int8 [4000000000,8]\noutput y activation int8 [4000000000,8]\n"
                                "einsum p m<4000000000 n<8 k<4000000000 : y[m,n] += mul(x[m,k], w[k,n])\n"),
                           "simba"),
                  2,
                  {"w3: line", "64 bits"}});
  expect_refused({"unknown arch", estimate(einsums, "simbad"), 2, {"arch_simba"}});
  json arch = load_data("arch_ws_16x16", "");
  arch["levels"][1]["read_bandwidth"] = 0;
  expect_refused({"zero bandwidth",
                  estimate(einsums, text("a1.json", arch.dump())),
                  2,
                  {"a1.json: /levels/1/read_bandwidth: expected a number above 0, read 0"}});
  arch["levels"][1]["read_bandwidth"] = 8;
  arch["node_nm"] = 65;
  expect_refused({"no scaling", estimate(einsums, text("a2.json", arch.dump())), 2, {"/node_scaling/nodes", "65 nm"}});
  expect_refused({"broken nest",
                  estimate(einsums, "ws_16x16", text("m1", "DRAM [ x w y ]\n  for z in [0:4)\n")),
                  2,
                  {"m1: line 2", "z"}});
  expect_refused({"wrong einsum",
                  estimate(einsums, "ws_16x16", text("m2", "einsum q\nDRAM [ x w y ]\n")),
                  2,
                  {"m2", "einsum q is none"}});
  const std::string sized = text("sized.einsums",
                                 "workload p\nsize M 4\nsize N 2*M\ninput x activation int8 [M,6]\n"
                                 "tensor w weight int8 [6,N]\noutput y activation int8 [M,N]\n"
                                 "einsum p m<M n<N k<6 : y[m,n] += mul(x[m,k], w[k,n])\n");
  const auto set = [&](const std::string& setting) {
    return std::vector<std::string>{"estimate", "--workload", sized, "--arch", "simba", "--set", setting};
  };
  expect_refused({"unknown size", set("K=4"), 2, {"sized.einsums: size K", "known: M"}});
  expect_refused({"derived size", set("N=4"), 2, {"sized.einsums: line 3", "follows from others", "allowed: M"}});
  expect_refused({"size of words", set("M=big"), 2, {"--set", "\"M=big\"", "SIZE=NUMBER"}});
  expect_refused({"bad objective",
                  {"estimate", "--workload", einsums, "--arch", "simba", "--objective", "area"},
                  2,
                  {"--objective", "latency"}});
  expect_refused({"bad dataflow",
                  {"estimate", "--workload", einsums, "--arch", "simba", "--dataflow", "nvdl"},
                  2,
                  {"--dataflow", "did you mean \"nvdla\""}});
}

TEST_F(BadInputTest, DatabasesAreRefusedWithTheirCode) {
  const auto list = [&](const std::string& path) { return std::vector<std::string>{"list", "--db", path}; };
  const auto run = [&](const std::string& path) {
    return std::vector<std::string>{"run", file("good.json"), "--db", path};
  };
  expect_refused({"missing", list(file("none.db")), 4, {"none.db"}});
  expect_refused({"unknown campaign", {"status", "--db", database(), "--name", "tinny"}, 4, {"tinny", "tiny"}});
  expect_refused({"unknown trial", {"show", "--db", database(), "12345"}, 4, {"12345", "0 to 31"}});
  expect_refused(
      {"unknown exported trial", {"export", "--db", database(), "--id", "12345", "--to", file("out")}, 4, {"12345"}});
  text("text.db", std::string(5000, 'x'));
  expect_refused({"no database, read", list(file("text.db")), 6, {"text.db"}});
  expect_refused({"no database, written", run(file("text.db")), 6, {"text.db"}});
  run_sql(file("foreign.db"), "CREATE TABLE recipe (id INTEGER)");
  expect_refused({"foreign, read", list(file("foreign.db")), 6, {"foreign.db"}});
  expect_refused({"foreign, written", run(file("foreign.db")), 6, {"foreign.db"}});
  std::filesystem::copy_file(database(), file("newer.db"));
  run_sql(file("newer.db"), "PRAGMA user_version = 99");
  expect_refused({"newer, read", list(file("newer.db")), 6, {"newer.db", "99"}});
  expect_refused({"newer, written", run(file("newer.db")), 6, {"newer.db", "99"}});
  expect_refused({"unwritable", run(file("no/such/folder/x.db")), 5, {"no/such/folder"}});
  expect_refused({"unwritable export",
                  {"export", "--db", database(), "--pareto", "--to", file("good.json") + "/out"},
                  2,
                  {"--to", "good.json/out", "directory"}});
}

TEST_F(BadInputTest, SecondWriterIsRefused) {
  std::filesystem::copy_file(database(), file("busy.db"));
  const Store writer = Store::open_writer(file("busy.db"));
  expect_refused({"locked", {"resume", "--db", file("busy.db")}, 5, {"busy.db"}});
}

TEST_F(BadInputTest, UnsatisfiableCampaignSaysWhichConstraintStoppedMostAndByHowMuch) {
  json config = cost_config();
  config["constraints"] = {{{"metric", "latency_ms"}, {"max", 1e-6}}};
  const ProcessResult result = run_cosearch({"run", text("u1.json", config.dump()), "--db", file("u1.db"), "--quiet"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
  EXPECT_NE(result.err.find("latency_ms stopped 32"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("%"), std::string::npos) << result.err;
  const ProcessResult front = run_cosearch({"pareto", "--db", file("u1.db")});
  EXPECT_EQ(front.exit_code, 3);
  EXPECT_EQ(front.out, "");
  EXPECT_NE(front.err.find("latency_ms"), std::string::npos) << front.err;
}

}  // namespace
}  // namespace cosearch::testing_support
