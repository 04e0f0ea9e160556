#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {
namespace {

TEST(TrainOptions, RoundTripThroughJsonKeepsEveryField) {
  const nlohmann::json json = {{"epochs", 2.5},
                               {"batch", 32},
                               {"train_samples", 100},
                               {"evaluate_samples", 50},
                               {"optimizer", "adamw"},
                               {"learning_rate", 0.25},
                               {"momentum", 0.5},
                               {"beta1", 0.8},
                               {"beta2", 0.95},
                               {"epsilon", 1e-6},
                               {"weight_decay", 0.05},
                               {"warmup", 0.2},
                               {"label_smoothing", 0.1},
                               {"shift", 2},
                               {"flip", true},
                               {"clip_norm", 1.5},
                               {"precision", "fp16_mcu"},
                               {"loss_scale", 8.0}};
  EXPECT_EQ(to_json(train_options_from_json(json)), json);
  EXPECT_EQ(to_json(TrainOptions{}).size(), json.size());
}

TEST(TrainOptions, PrecisionIsOneThatThisMachineHas) {
  if (kernels::onednn_dense(Precision::bf16) != nullptr) {
    EXPECT_EQ(train_options_from_json({{"precision", "bf16"}}).precision, Precision::bf16);
  } else {
    EXPECT_THROW(static_cast<void>(train_options_from_json({{"precision", "bf16"}})), ConfigError);
  }
}

TEST(TrainOptions, Fp16OfAMicrocontrollerIsEverywhere) {
  EXPECT_EQ(train_options_from_json({{"precision", "fp16_mcu"}}).precision, Precision::fp16_mcu);
  EXPECT_EQ(train_options_from_json({{"precision", "fp16_mcu_fp32_accumulate"}}).precision,
            Precision::fp16_mcu_fp32_accumulate);
}

TEST(TrainOptions, AbsentKeysKeepTheDefaults) {
  TrainOptions defaults;
  defaults.epochs = 7;
  EXPECT_EQ(train_options_from_json(nlohmann::json::object(), defaults).epochs, 7);
}

struct BadInput {
  nlohmann::json json;
  const char* place;
  const char* message;
};

TEST(TrainOptions, BadInputNamesThePlaceAndWhatIsAllowed) {
  const std::vector<BadInput> inputs = {
      {{{"learning_rte", 0.1}}, "/learning_rte", "did you mean \"learning_rate\""},
      {{{"learning_rate", 0}}, "/learning_rate", "expected a number above 0, read 0"},
      {{{"learning_rate", "fast"}}, "/learning_rate", "read \"fast\""},
      {{{"epochs", 0}}, "/epochs", "above 0"},
      {{{"epochs", -1.5}}, "/epochs", "read -1.5"},
      {{{"batch", 0}}, "/batch", "expected an integer from 1 to"},
      {{{"batch", 2.5}}, "/batch", "read 2.5"},
      {{{"train_samples", -1}}, "/train_samples", "expected an integer from 0"},
      {{{"evaluate_samples", 18446744073709551615ULL}}, "/evaluate_samples", "expected an integer from 0"},
      {{{"optimizer", "adam"}}, "/optimizer", "did you mean \"adamw\""},
      {{{"optimizer", 3}}, "/optimizer", "read 3"},
      {{{"momentum", 1.0}}, "/momentum", "of at least 0 and below 1"},
      {{{"beta2", -0.1}}, "/beta2", "read -0.1"},
      {{{"epsilon", 0.0}}, "/epsilon", "above 0"},
      {{{"weight_decay", -1}}, "/weight_decay", "at least 0"},
      {{{"warmup", 1}}, "/warmup", "below 1"},
      {{{"label_smoothing", 1.5}}, "/label_smoothing", "below 1"},
      {{{"shift", -1}}, "/shift", "expected an integer from 0"},
      {{{"flip", 1}}, "/flip", "expected true or false"},
      {{{"clip_norm", -2}}, "/clip_norm", "at least 0"},
      {{{"precision", "fp16"}}, "/precision", "known: bf16, fp16_mcu, fp16_mcu_fp32_accumulate, fp32"},
      {{{"loss_scale", 0}}, "/loss_scale", "above 0"},
      {nlohmann::json::array(), "", "expected an object, read []"},
  };
  for (const BadInput& input : inputs) {
    try {
      static_cast<void>(train_options_from_json(input.json));
      ADD_FAILURE() << input.json << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place(), input.place);
      EXPECT_NE(error.message().find(input.message), std::string::npos) << error.message();
    }
  }
}

}  // namespace
}  // namespace cosearch
