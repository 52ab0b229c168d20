// A stand-in for the header of Paddle Lite: as much of its interface as lineguard uses, written for
// the tests. What it does is in standin.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace paddle {
namespace lite_api {

enum class PrecisionType : int { kUnk = 0, kFloat = 1, kInt8 = 2, kInt32 = 3, kInt64 = 7, kUInt8 = 9 };

typedef enum {
  LITE_POWER_HIGH = 0,
  LITE_POWER_LOW = 1,
  LITE_POWER_FULL = 2,
  LITE_POWER_NO_BIND = 3
} PowerMode;

struct Cells;

struct Tensor {
  explicit Tensor(std::shared_ptr<Cells> cells);
  void Resize(const std::vector<int64_t>& shape);
  template <typename T>
  T* mutable_data() const;
  template <typename T>
  const T* data() const;
  std::vector<int64_t> shape() const;
  PrecisionType precision() const;

 private:
  std::shared_ptr<Cells> cells_;
};

class PaddlePredictor {
 public:
  virtual ~PaddlePredictor() = default;
  virtual std::unique_ptr<Tensor> GetInput(int i) = 0;
  virtual std::unique_ptr<const Tensor> GetOutput(int i) const = 0;
  virtual void Run() = 0;
  virtual std::string GetVersion() const = 0;
  virtual std::vector<std::string> GetInputNames() = 0;
  virtual std::vector<std::string> GetOutputNames() = 0;
};

class MobileConfig {
 public:
  void set_model_from_file(const std::string& path);
  void set_threads(int threads) { threads_ = threads; }
  void set_power_mode(PowerMode mode) { mode_ = mode; }
  const std::string& path() const { return path_; }
  int threads() const { return threads_; }
  PowerMode mode() const { return mode_; }

 private:
  std::string path_;
  int threads_ = 1;
  PowerMode mode_ = LITE_POWER_HIGH;
};

template <typename ConfigT>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const ConfigT&);

}  // namespace lite_api
}  // namespace paddle
