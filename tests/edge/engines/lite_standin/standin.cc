// A stand-in for Paddle Lite's library. A model is a .nb file that ends with what is to happen:
//
//   STANDIN
//   input NAME          one for each; its output NAME.out is the input * 2 + ADD, of the same type
//   add ADD
//   brief N             outputs are of the first N elements only: no time is spent on computing
//   load WHAT [FILE]    when it is loaded: abort, segv, exit, hang, null, throw or log
//   run WHAT [FILE]     when it is run; only while FILE exists
//   output KIND         a further output: runs since it was loaded, or empty, or of the type uint8,
//                       or of no memory (lost)
//
// A further output of every model is `config`: threads and power mode. A file without STANDIN has
// neither inputs nor outputs, and aborts if $STANDIN_NO_PROBE is set. $STANDIN_VERSION is the version.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "paddle_api.h"

namespace paddle {
namespace lite_api {

struct Cells {
  std::vector<int64_t> shape;
  PrecisionType precision = PrecisionType::kUnk;
  std::vector<char> bytes;
  bool lost = false;
  size_t count() const {
    size_t n = 1;
    for (int64_t each : shape) n *= static_cast<size_t>(each);
    return n;
  }
};

namespace {

template <typename T>
PrecisionType type_of();
template <>
PrecisionType type_of<float>() { return PrecisionType::kFloat; }
template <>
PrecisionType type_of<int8_t>() { return PrecisionType::kInt8; }
template <>
PrecisionType type_of<int32_t>() { return PrecisionType::kInt32; }
template <>
PrecisionType type_of<int64_t>() { return PrecisionType::kInt64; }

template <typename T>
void compute(const Cells& in, Cells* out, int add, int64_t brief) {
  out->shape = brief ? std::vector<int64_t>{brief} : in.shape;
  out->precision = in.precision;
  out->bytes.resize(out->count() * sizeof(T));
  const T* from = reinterpret_cast<const T*>(in.bytes.data());
  T* to = reinterpret_cast<T*>(out->bytes.data());
  for (size_t i = 0; i < out->count(); ++i) {
    to[i] = static_cast<T>(from[i] * static_cast<T>(2) + static_cast<T>(add));
  }
}

template <typename T>
std::shared_ptr<Cells> filled(const std::vector<T>& values) {
  auto cells = std::make_shared<Cells>();
  cells->shape = {static_cast<int64_t>(values.size())};
  cells->precision = type_of<T>();
  cells->bytes.resize(values.size() * sizeof(T));
  std::memcpy(cells->bytes.data(), values.data(), cells->bytes.size());
  return cells;
}

// True if `null` is what is to happen.
bool happens(const std::string& what, const std::string& file) {
  if (what.empty() || (!file.empty() && access(file.c_str(), F_OK) != 0)) return false;
  if (what == "log") {
    for (int i = 0; i < 20000; ++i) std::fprintf(stderr, "[W stand-in] line %d\n", i);
    return false;
  }
  std::fprintf(stderr, "[I stand-in] fine so far\n[F stand-in] no kernel for op: %s\n", what.c_str());
  if (what == "abort") std::abort();
  if (what == "segv") std::raise(SIGSEGV);
  if (what == "exit") _exit(3);
  if (what == "hang") {
    for (;;) pause();
  }
  if (what == "throw") throw std::runtime_error("thrown by\nthe stand-in");
  return what == "null";
}

class Predictor : public PaddlePredictor {
 public:
  explicit Predictor(const MobileConfig& config) : config_(config) {
    std::ifstream file(config.path(), std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const size_t at = text.rfind("STANDIN\n");
    if (at == std::string::npos && std::getenv("STANDIN_NO_PROBE")) std::abort();
    std::istringstream lines(at == std::string::npos ? "" : text.substr(at + 8));
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string key, first, second;
      words >> key >> first >> second;
      if (key == "input") names_.push_back(first);
      if (key == "add") add_ = std::atoi(first.c_str());
      if (key == "brief") brief_ = std::atoi(first.c_str());
      if (key == "load") null_ = happens(first, second);
      if (key == "run") run_ = {first, second};
      if (key == "output") extra_ = first;
    }
    whole_ = at != std::string::npos;
    for (size_t i = 0; i < names_.size(); ++i) {
      inputs_.push_back(std::make_shared<Cells>());
      outputs_.push_back(std::make_shared<Cells>());
    }
  }

  bool null() const { return null_; }

  std::unique_ptr<Tensor> GetInput(int i) override {
    return std::unique_ptr<Tensor>(new Tensor(inputs_.at(i)));
  }

  std::unique_ptr<const Tensor> GetOutput(int i) const override {
    if (i < static_cast<int>(outputs_.size())) {
      return std::unique_ptr<const Tensor>(new Tensor(outputs_.at(i)));
    }
    const std::string name = all_outputs().at(i);
    std::shared_ptr<Cells> cells;
    if (name == "config") {
      cells = filled<int32_t>({config_.threads(), static_cast<int32_t>(config_.mode())});
    } else if (extra_ == "runs") {
      cells = filled<int64_t>({runs_});
    } else {
      cells = filled<float>({1});
      if (extra_ == "empty") *cells = Cells{{0, 6}, PrecisionType::kFloat, {}, false};
      if (extra_ == "uint8") cells->precision = PrecisionType::kUInt8;
      if (extra_ == "lost") cells->lost = true;
    }
    return std::unique_ptr<const Tensor>(new Tensor(cells));
  }

  void Run() override {
    happens(run_.first, run_.second);
    ++runs_;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Cells& in = *inputs_[i];
      Cells* out = outputs_[i].get();
      if (in.precision == PrecisionType::kFloat) compute<float>(in, out, add_, brief_);
      if (in.precision == PrecisionType::kInt8) compute<int8_t>(in, out, add_, brief_);
      if (in.precision == PrecisionType::kInt32) compute<int32_t>(in, out, add_, brief_);
      if (in.precision == PrecisionType::kInt64) compute<int64_t>(in, out, add_, brief_);
    }
  }

  std::string GetVersion() const override {
    const char* told = std::getenv("STANDIN_VERSION");
    return told ? told : "v2.13-rc";
  }
  std::vector<std::string> GetInputNames() override { return names_; }
  std::vector<std::string> GetOutputNames() override { return all_outputs(); }

 private:
  std::vector<std::string> all_outputs() const {
    std::vector<std::string> names;
    for (const auto& name : names_) names.push_back(name + ".out");
    if (whole_) names.push_back("config");
    if (!extra_.empty()) names.push_back(extra_);
    return names;
  }

  MobileConfig config_;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<Cells>> inputs_, outputs_;
  std::pair<std::string, std::string> run_;
  std::string extra_;
  bool null_ = false, whole_ = false;
  int add_ = 0;
  int64_t brief_ = 0, runs_ = 0;
};

}  // namespace

Tensor::Tensor(std::shared_ptr<Cells> cells) : cells_(cells) {}

void Tensor::Resize(const std::vector<int64_t>& shape) { cells_->shape = shape; }

template <typename T>
T* Tensor::mutable_data() const {
  cells_->precision = type_of<T>();
  cells_->bytes.resize(cells_->count() * sizeof(T));
  return reinterpret_cast<T*>(cells_->bytes.data());
}

template <typename T>
const T* Tensor::data() const {
  return cells_->lost ? nullptr : reinterpret_cast<const T*>(cells_->bytes.data());
}

std::vector<int64_t> Tensor::shape() const { return cells_->shape; }
PrecisionType Tensor::precision() const { return cells_->precision; }

#define OF_TYPE(T)                            \
  template T* Tensor::mutable_data<T>() const; \
  template const T* Tensor::data<T>() const;
OF_TYPE(float)
OF_TYPE(int8_t)
OF_TYPE(int32_t)
OF_TYPE(int64_t)

void MobileConfig::set_model_from_file(const std::string& path) { path_ = path; }

template <>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const MobileConfig& config) {
  auto made = std::make_shared<Predictor>(config);
  return made->null() ? nullptr : std::shared_ptr<PaddlePredictor>(made);
}

}  // namespace lite_api
}  // namespace paddle
