// Paddle Lite's C++ library behind a C interface.
//
// Compiled by `lineguard box build-lite` against the header of the release that it is to serve, and
// called from child.py. Only what every release 2.x has is used. The library aborts on what it does
// not support; what it throws instead ends here, as a null pointer and a line in lg_lite_error().
//
// Raise ABI, here and in child.py, with every change of what is exported.

#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "paddle_api.h"

namespace {

using paddle::lite_api::MobileConfig;
using paddle::lite_api::PaddlePredictor;
using paddle::lite_api::PowerMode;
using paddle::lite_api::PrecisionType;
using paddle::lite_api::Tensor;

const int ABI = 1;

// LITE_POWER_NO_BIND: Lite would else choose cores by itself, against the mask of the caller.
const PowerMode NO_BIND = static_cast<PowerMode>(3);

// Numbers of the types, as in child.py.
enum { FLOAT32 = 0, INT64 = 1, INT32 = 2, INT8 = 3 };

struct Model {
  std::shared_ptr<PaddlePredictor> predictor;
  std::string version;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  // Kept while their data is read and written.
  std::vector<std::unique_ptr<Tensor>> fed;
  std::vector<std::unique_ptr<const Tensor>> answered;
};

std::string said;

// Runs `work`; what it throws becomes `failed`.
template <typename Result, typename Work>
Result guarded(Result failed, Work work) {
  said.clear();
  try {
    return work();
  } catch (const std::exception& error) {
    said = error.what();
  } catch (...) {
    said = "an exception of an unknown type";
  }
  return failed;
}

void* refuse(const char* why) {
  said = why;
  return nullptr;
}

}  // namespace

extern "C" {

int lg_lite_abi() { return ABI; }

const char* lg_lite_error() { return said.c_str(); }

void* lg_lite_open(const char* path, int threads) {
  return guarded<void*>(nullptr, [&]() -> void* {
    MobileConfig config;
    config.set_model_from_file(path);
    config.set_threads(threads);
    config.set_power_mode(NO_BIND);
    std::unique_ptr<Model> model(new Model);
    model->predictor = paddle::lite_api::CreatePaddlePredictor<MobileConfig>(config);
    if (!model->predictor) return refuse("it gives no predictor");
    model->version = model->predictor->GetVersion();
    model->inputs = model->predictor->GetInputNames();
    model->outputs = model->predictor->GetOutputNames();
    model->fed.resize(model->inputs.size());
    model->answered.resize(model->outputs.size());
    return model.release();
  });
}

void lg_lite_close(void* handle) {
  guarded<int>(0, [&] {
    delete static_cast<Model*>(handle);
    return 0;
  });
}

const char* lg_lite_version(void* handle) { return static_cast<Model*>(handle)->version.c_str(); }

// Name of input or output `index`, null after the last.
const char* lg_lite_input_name(void* handle, int index) {
  const auto& names = static_cast<Model*>(handle)->inputs;
  return index < static_cast<int>(names.size()) ? names[index].c_str() : nullptr;
}

const char* lg_lite_output_name(void* handle, int index) {
  const auto& names = static_cast<Model*>(handle)->outputs;
  return index < static_cast<int>(names.size()) ? names[index].c_str() : nullptr;
}

// Where the elements of input `index` are to be written before the next run.
void* lg_lite_input(void* handle, int index, int type, const int64_t* shape, int rank) {
  return guarded<void*>(nullptr, [&]() -> void* {
    auto& model = *static_cast<Model*>(handle);
    auto& tensor = model.fed.at(index);
    tensor = model.predictor->GetInput(index);
    if (!tensor) return refuse("it has no such input");
    tensor->Resize(std::vector<int64_t>(shape, shape + rank));
    void* data = nullptr;
    if (type == FLOAT32) data = tensor->mutable_data<float>();
    if (type == INT64) data = tensor->mutable_data<int64_t>();
    if (type == INT32) data = tensor->mutable_data<int32_t>();
    if (type == INT8) data = tensor->mutable_data<int8_t>();
    return data ? data : refuse("it has no memory for an input of this type");
  });
}

// 1 if it went well.
int lg_lite_run(void* handle) {
  return guarded<int>(0, [&] {
    static_cast<Model*>(handle)->predictor->Run();
    return 1;
  });
}

// Where the elements of output `index` lie until the next run; its type, and its shape of at most
// `*rank` dimensions, whose number becomes `*rank`.
const void* lg_lite_output(void* handle, int index, int* type, int64_t* shape, int* rank) {
  return guarded<const void*>(nullptr, [&]() -> const void* {
    auto& model = *static_cast<Model*>(handle);
    auto& tensor = model.answered.at(index);
    tensor = model.predictor->GetOutput(index);
    if (!tensor) return refuse("it has no such output");
    const std::vector<int64_t> dims = tensor->shape();
    if (static_cast<int>(dims.size()) > *rank) return refuse("an output has too many dimensions");
    *rank = static_cast<int>(dims.size());
    bool empty = false;
    for (int i = 0; i < *rank; ++i) {
      shape[i] = dims[i];
      empty = empty || dims[i] == 0;
    }
    const void* data = nullptr;
    switch (tensor->precision()) {
      case PrecisionType::kFloat:
        *type = FLOAT32;
        data = tensor->data<float>();
        break;
      case PrecisionType::kInt64:
        *type = INT64;
        data = tensor->data<int64_t>();
        break;
      case PrecisionType::kInt32:
        *type = INT32;
        data = tensor->data<int32_t>();
        break;
      case PrecisionType::kInt8:
        *type = INT8;
        data = tensor->data<int8_t>();
        break;
      default:
        return refuse("an output is of a type that is not supported");
    }
    // An output without elements may have no memory.
    return data ? data : empty ? static_cast<const void*>(shape) : refuse("an output has no data");
  });
}

}  // extern "C"
