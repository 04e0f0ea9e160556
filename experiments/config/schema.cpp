#include <array>
#include <string_view>

#include "experiments/config/campaign.hpp"
#include "experiments/config/data_types.hpp"
#include "predictors/predictor.hpp"
#include "spaces/catalog/registry.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

template <class Registry>
json names(const Registry& registry) {
  json list = json::array();
  for (const auto& entry : registry) {
    list.push_back(entry.name);
  }
  return list;
}

json one_of(json values, const char* description) {
  return {{"type", "string"}, {"enum", std::move(values)}, {"description", description}};
}

json integer(std::int64_t minimum, const char* description) {
  return {{"type", "integer"}, {"minimum", minimum}, {"description", description}};
}

json genes(const char* description) {
  const json value = {{"type", json::array({"number", "string"})}};
  json range = {{"type", "object"},
                {"properties", {{"min", {{"type", "number"}}}, {"max", {{"type", "number"}}}}},
                {"minProperties", 1},
                {"additionalProperties", false}};
  json list = {{"type", "array"}, {"items", value}, {"minItems", 1}};
  return {{"type", "object"},
          {"additionalProperties", {{"anyOf", json::array({value, std::move(list), std::move(range)})}}},
          {"default", json::object()},
          {"description", description}};
}

/// One key of a training recipe: its limits and meaning. Types and defaults come from TrainOptions.
struct RecipeKey {
  std::string_view name;
  std::string_view meaning;
};
constexpr std::array kRecipeKeys{
    RecipeKey{"epochs", "passes over the training samples; may be fractional"},
    RecipeKey{"batch", "samples of one step"},
    RecipeKey{"train_samples", "size of a fixed, class-balanced subset of the training split; 0: all"},
    RecipeKey{"evaluate_samples", "samples of the split that is scored; 0: all"},
    RecipeKey{"optimizer", "sgd (momentum, L2 in the gradient) or adamw (decoupled decay)"},
    RecipeKey{"learning_rate", "peak learning rate"},
    RecipeKey{"momentum", "of sgd"},
    RecipeKey{"beta1", "of adamw"},
    RecipeKey{"beta2", "of adamw"},
    RecipeKey{"epsilon", "of adamw"},
    RecipeKey{"weight_decay", "not applied to biases, norms and embeddings"},
    RecipeKey{"warmup", "share of all steps with a linearly rising rate; cosine to 0 after it"},
    RecipeKey{"label_smoothing", "share of the label spread over all classes"},
    RecipeKey{"shift", "random shifts by up to this many pixels"},
    RecipeKey{"flip", "random horizontal flips"},
    RecipeKey{"clip_norm", "limit of the global gradient norm; 0: off"},
    RecipeKey{
        "precision",
        "fp32; bf16: products in bf16 where the processor has them; fp16_mcu: as a microcontroller with fp16 SIMD "
        "trains; fp16_mcu_fp32_accumulate: the same with sums of products in fp32"},
    RecipeKey{"loss_scale", "factor of the gradients between the loss and the optimiser, against underflow"},
};

json recipe() {
  const json defaults = to_json(TrainOptions{});
  json properties = json::object();
  for (const RecipeKey& key : kRecipeKeys) {
    const json& value = defaults.at(std::string(key.name));
    json property = {{"description", key.meaning}, {"default", value}};
    if (value.is_boolean()) {
      property["type"] = "boolean";
    } else if (value.is_string()) {
      property["enum"] = key.name == "precision" ? precision_names() : std::vector<std::string>{"adamw", "sgd"};
    } else {
      property["type"] = value.is_number_integer() ? "integer" : "number";
      property["minimum"] = 0;
    }
    properties[std::string(key.name)] = std::move(property);
  }
  return properties;
}

json with(json properties, const char* key, json property) {
  properties[key] = std::move(property);
  return properties;
}

json closed(json properties, json required, const char* description) {
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false},
          {"description", description}};
}

/// Further keys belong to whoever the name stands for, and are checked there.
json open(json properties, json required, const char* description) {
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"description", description}};
}

/// What one network learns at once.
json tasks(const json& dataset) {
  json task = closed(
      {{"name", {{"type", "string"}, {"pattern", "^[a-z][a-z0-9_]{0,31}$"}, {"description", "ends its metrics"}}},
       {"dataset", dataset},
       {"weight",
        {{"type", "number"}, {"exclusiveMinimum", 0}, {"default", 1}, {"description", "of its loss in the sum"}}},
       {"baseline",
        {{"type", "number"},
         {"exclusiveMinimum", 0},
         {"description", "what delta_m compares with: an accuracy, or a root mean squared error"}}},
       {"class_weights",
        {{"type", "array"},
         {"items", {{"type", "number"}, {"minimum", 0}}},
         {"description", "of the losses of each class's labels; 1 unless given"}}},
       {"loss", with(one_of({"absolute", "squared"}, "of a task that predicts numbers"), "default", "squared")}},
      json::array({"name", "dataset"}), "one of the tasks");
  return {{"type", "array"},
          {"items", std::move(task)},
          {"minItems", 1},
          {"maxItems", 16},
          {"description",
           "Several tasks that a network learns at once, on the same images, with an output for each; in place of "
           "dataset and task. Each has its metrics: accuracy_<task> and error_<task>, or rmse_<task>."}};
}

json data_sections() {
  json properties;
  properties["dataset"] =
      open({{"name", one_of(names(dataset_registry()), "data set")}}, json::array({"name"}),
           "What networks learn; further keys are options of the data set. cells: blur, cells, "
           "noise, search, seed, size, test, train. cifar: directory, "
           "search, variant. fashion_mnist: directory, labels. idx: classes, height, images, labels, "
           "search, test_images, test_labels, width. image_folder: channels, classes, "
           "directory, height, search_percent, test_percent, width. npz: black, channels, "
           "classes, height, images, labels, layout, path, search, test_images, test_labels, "
           "white, width. shapes: noise, search, seed, shapes, size, task, test, train. synthetic: channels, classes, "
           "height, search, seed, test, train, "
           "width. wav_folder: classes, coefficients, directory, milliseconds, search_percent, "
           "test_percent. Needed wherever accuracy or error is asked for.");
  properties["task"] =
      closed({{"sample",
               {{"type", "array"},
                {"items", {{"type", "integer"}, {"minimum", 1}}},
                {"minItems", 3},
                {"maxItems", 3},
                {"description", "[height, width, channels]"}}},
              {"classes", integer(2, "number of classes")},
              {"dense",
               {{"type", "boolean"},
                {"default", false},
                {"description", "whether each pixel has a class, rather than the sample"}}}},
             json::array({"sample", "classes"}),
             "Shape of the task for campaigns that cost networks without a data set; learnt from the data set "
             "otherwise.");
  properties["tasks"] = tasks(properties["dataset"]);
  properties["task_sampling"] =
      with(one_of({"all", "one"},
                  "tasks: what a training step learns, all of them or one drawn in proportion to the weights"),
           "default", "all");
  properties["task_baseline"] = genes(
      "tasks: a design of the space; what it reaches when it learns each task alone is what delta_m compares "
      "with, where the task says nothing else (missing genes take their first value)");
  return properties;
}

json designs(const char* description) {
  return {{"type", "array"}, {"items", {{"type", "object"}}}, {"default", json::array()}, {"description", description}};
}

json space() {
  return open({{"name", one_of(names(space_registry()), "network space; see `cosearch spaces list`")},
               {"genes", genes("network genes fixed to a value, restricted to a list or to {min, max}")}},
              json::array({"name"}), "Which networks; further keys are options of the space.");
}

json hardware_sections() {
  json properties;
  properties["target"] =
      open({{"name", one_of(names(target_registry()), "hardware family; see `cosearch targets list`")},
            {"genes", genes("hardware genes (without the prefix `hw.`) fixed or restricted")}},
           json::array({"name"}), "Which hardware; further keys are options of the target.");
  properties["job"] = closed(
      {{"batch", with(integer(1, "samples of one evaluation"), "default", 1)},
       {"types", with(one_of(data_type_names(), "number format of weights and activations"), "default", "int8")}},
      json::array(), "What the hardware runs.");
  return properties;
}

json quantization() {
  const json defaults = to_json(quantize::QuantizeRecipe{});
  json keys = {{"rule", one_of(quantize::range_rule_names(), "how a value's range follows from calibration samples")},
               {"percentile",
                {{"type", "number"},
                 {"exclusiveMinimum", 50},
                 {"maximum", 100},
                 {"description", "percentile: share of a value that its range holds, in percent"}}},
               {"samples", integer(1, "calibration samples")},
               {"fine_tune_epochs",
                {{"type", "number"},
                 {"minimum", 0},
                 {"description", "of training with rounded weights and values behind the recipe; 0: none"}}},
               {"fine_tune_rate",
                {{"type", "number"}, {"exclusiveMinimum", 0}, {"description", "of the recipe's learning rate"}}}};
  for (const auto& [key, value] : defaults.items()) {
    keys[key]["default"] = value;
  }
  return closed(std::move(keys), json::array(),
                "Trained networks are quantised: weights of 8 bits, or as few as a layer says, values of 8; accuracies "
                "are those of the integers (kind train, and in the final stage).");
}

json accuracy_keys() {
  const OneShot defaults;
  json keys = with(recipe(), "quantize", quantization());
  keys["kind"] = with(one_of({"none", "one_shot", "train"},
                             "train: each candidate by the recipe below; one_shot: one supernet by that recipe, whose "
                             "weights score all candidates; none: candidates are only costed"),
                      "default", "train");
  keys["random_subnets"] = with(integer(0, "one_shot: networks of a step beside the largest and the smallest"),
                                "default", defaults.random_subnets);
  keys["distillation"] = {{"type", "number"},
                          {"minimum", 0},
                          {"maximum", 1},
                          {"default", defaults.distillation},
                          {"description",
                           "one_shot: share of what the largest network predicts in the targets of the "
                           "others, of each task"}};
  keys["calibration_samples"] =
      with(integer(16, "one_shot: training samples that a candidate's batch norms are computed from"), "default",
           defaults.calibration_samples);
  keys["supernets"] = {{"type", "array"},
                       {"items", {{"type", "string"}}},
                       {"default", json::array()},
                       {"description",
                        "one_shot: network genes; each combination of their values has a supernet of "
                        "its own, and those after the first begin with weights of one before"}};
  keys["lazy"] = {{"type", "boolean"},
                  {"default", defaults.lazy},
                  {"description",
                   "one_shot: train each supernet when the first candidate needs it, rather than all before the "
                   "search; then there may be any number of combinations"}};
  return keys;
}

/// What describes one network, in the root or in `networks`.
json network_sections() {
  json properties = data_sections();
  properties["space"] = space();
  properties["accuracy"] = closed(accuracy_keys(), json::array(), "How accuracy is found.");
  return properties;
}

json networks() {
  json properties = network_sections();
  properties["name"] = {{"type", "string"},
                        {"pattern", "^[a-z][a-z0-9_]{0,31}$"},
                        {"description", "begins its genes (`name.`) and ends its metrics (`accuracy_name`)"}};
  properties["weight"] = {
      {"type", "number"},
      {"minimum", 0},
      {"maximum", 1},
      {"description", "of its accuracy in the candidate's; all sum to 1, and without one each counts the same"}};
  properties["final"] = closed(with(recipe(), "quantize", quantization()), json::array(),
                               "its recipe in the final stage (missing keys as in its `accuracy`)");
  json network = closed(std::move(properties), json::array({"name", "space"}), "one of the networks");
  return {{"type", "array"},
          {"items", std::move(network)},
          {"minItems", 1},
          {"maxItems", 16},
          {"description",
           "Several networks, each with its own data, searched beside one hardware that runs them one after the other; "
           "in place of dataset, task, space and accuracy. All have one kind of accuracy."}};
}

json goal_sections() {
  json properties;
  json metric = {{"anyOf", json::array()},
                 {"description", "metric; which ones a target reports: `cosearch targets describe NAME`"}};
  metric["anyOf"].push_back({{"enum", names(metric_registry())}});
  metric["anyOf"].push_back({{"pattern", "^(accuracy|delta_m|error|rmse|train_loss)_[a-z][a-z0-9_]*$"},
                             {"description", "of one of several networks or tasks"}});
  metric["type"] = "string";
  json objective =
      closed({{"metric", metric}, {"direction", one_of({"maximize", "minimize"}, "the metric's own unless given")}},
             json::array({"metric"}), "a metric with its direction");
  properties["objectives"] = {
      {"type", "array"},
      {"items", {{"anyOf", json::array({metric, std::move(objective)})}}},
      {"minItems", 1},
      {"description", "What the Pareto front trades off; accuracy and error exclude each other."}};
  properties["constraints"] = {
      {"type", "array"},
      {"items", closed({{"metric", metric}, {"min", {{"type", "number"}}}, {"max", {{"type", "number"}}}},
                       json::array({"metric"}), "min <= metric <= max; at least one of the two")},
      {"default", json::array()},
      {"description", "Limits beside the capacities that the hardware itself has."}};
  properties["screen"] =
      open({{"predictor", one_of(names(predictor_registry()), "learns error from the networks trained so far")},
            {"share",
             {{"type", "number"},
              {"exclusiveMinimum", 0},
              {"maximum", 1},
              {"default", Screen{}.share},
              {"description", "of a batch's new feasible networks that are trained, rounded up"}}},
            {"warmup", with(integer(1, "trainings before the predictor is used"), "default", Screen{}.warmup)}},
           json::array({"predictor"}),
           "Which feasible candidates are worth training; without it all are, within the budget. Further keys are "
           "options of the predictor.");
  return properties;
}

json run_sections() {
  json properties;
  properties["search"] = open(
      {{"algorithm", with(one_of(names(algorithm_registry()), "see `cosearch algorithms list`"), "default", "nsga2")}},
      json::array({"algorithm"}), "How candidates are chosen; further keys are options of the algorithm.");
  properties["budget"] =
      closed({{"evaluations", integer(1, "candidates costed")},
              {"trainings", with(integer(0, "networks trained; 0: no limit of its own"), "default", 0)}},
             json::array({"evaluations"}), "When the search ends.");
  properties["final"] = closed(
      with(with(with(recipe(), "quantize", quantization()), "top",
                integer(1, "how many of the front, best first in the first objective")),
           "initialise",
           with(one_of({"scratch", "supernet"},
                       "the weights that the training begins with; supernet: those that "
                       "the candidate was scored with (one_shot)"),
                "default", "scratch")),
      json::array({"top"}),
      "The front's best, trained again with this recipe (missing keys as in `accuracy`; of `networks`, each one's own "
      "`final`) and tested once.");
  return properties;
}

}  // namespace

json campaign_schema() {
  json properties = network_sections();
  properties.update(hardware_sections());
  properties.update(goal_sections());
  properties.update(run_sections());
  properties["space"]["properties"]["initial"] = designs(
      "designs that are evaluated first: {gene: value}, hardware genes with the prefix `hw.`; missing genes take "
      "their first value");
  properties["networks"] = networks();
  properties["initial"] = designs("of `networks`: the same as /space/initial, genes with the prefix `<network>.`");
  properties["name"] = {{"type", "string"},
                        {"pattern", "^[A-Za-z0-9_.-]{1,100}$"},
                        {"description", "name of the campaign in the database"}};
  properties["seed"] = with(integer(0, "of all random numbers"), "default", 1);
  json schema = closed(std::move(properties), {"name", "target", "objectives", "budget"},
                       "A co-search campaign: which networks, which hardware, what counts, how long. Comments (// and "
                       "/* */) are allowed.");
  schema["oneOf"] = json::array({{{"required", {"space"}}}, {{"required", {"networks"}}}});
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "cosearch campaign";
  return schema;
}

}  // namespace cosearch
