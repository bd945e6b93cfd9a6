// The TensorFlow C functions the ops need, looked up in the libtensorflow that tfjs-node has
// loaded. Nothing of TensorFlow is linked, and no header of it is used: the tarball tfjs-node
// downloads has no kernels.h and ops.h. Targets the C API of TensorFlow 2.5 and newer.
#ifndef TFJS_FTP_OP_TF_API_H_
#define TFJS_FTP_OP_TF_API_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
struct TF_Status;
struct TF_Tensor;
struct TF_OpDefinitionBuilder;
struct TF_ShapeInferenceContext;
struct TF_ShapeHandle;
struct TF_KernelBuilder;
struct TF_OpKernelConstruction;
struct TF_OpKernelContext;
}

namespace tfjs_ftp {

// Values of TensorFlow's C enums that are part of its ABI (tf_status.h, tf_datatype.h).
constexpr int kTfOk = 0;
constexpr int kTfInvalidArgument = 3;
constexpr int kTfAlreadyExists = 6;
constexpr int kTfResourceExhausted = 8;
constexpr int kTfInternal = 13;
constexpr int kTfFloat = 1;
constexpr int kTfInt32 = 3;

// TF_AllocatorAttributes (kernels.h): its size up to and with on_host, as TensorFlow counts it.
struct TfAllocatorAttributes {
  size_t struct_size;
  unsigned char on_host;
};
constexpr size_t kTfAllocatorAttributesSize = sizeof(size_t) + 1;

using TfComputeFunction = void (*)(void* kernel, TF_OpKernelContext* context);

// X(result, name, arguments)
#define TFJS_FTP_TF_FUNCTIONS(X)                                                                 \
  X(TF_Status*, NewStatus, (void))                                                               \
  X(void, DeleteStatus, (TF_Status*))                                                            \
  X(void, SetStatus, (TF_Status*, int code, const char* message))                                \
  X(int, GetCode, (const TF_Status*))                                                            \
  X(const char*, Message, (const TF_Status*))                                                    \
  X(TF_OpDefinitionBuilder*, NewOpDefinitionBuilder, (const char* name))                         \
  X(void, OpDefinitionBuilderAddInput, (TF_OpDefinitionBuilder*, const char* spec))              \
  X(void, OpDefinitionBuilderAddOutput, (TF_OpDefinitionBuilder*, const char* spec))             \
  X(void, OpDefinitionBuilderAddAttr, (TF_OpDefinitionBuilder*, const char* spec))               \
  X(void, OpDefinitionBuilderSetIsStateful, (TF_OpDefinitionBuilder*, bool))                     \
  X(void, OpDefinitionBuilderSetShapeInferenceFunction,                                          \
    (TF_OpDefinitionBuilder*, void (*)(TF_ShapeInferenceContext*, TF_Status*)))                  \
  X(void, RegisterOpDefinition, (TF_OpDefinitionBuilder*, TF_Status*))                           \
  X(void, ShapeInferenceContextSetUnknownShape, (TF_ShapeInferenceContext*, TF_Status*))         \
  X(TF_KernelBuilder*, NewKernelBuilder,                                                         \
    (const char* op, const char* device, void* (*create)(TF_OpKernelConstruction*),              \
     TfComputeFunction compute, void (*remove)(void* kernel)))                                   \
  X(void, KernelBuilder_HostMemory, (TF_KernelBuilder*, const char* argument))                   \
  X(void, RegisterKernelBuilder, (const char* name, TF_KernelBuilder*, TF_Status*))              \
  X(int, NumInputs, (TF_OpKernelContext*))                                                       \
  X(int, NumOutputs, (TF_OpKernelContext*))                                                      \
  X(void, GetInput, (TF_OpKernelContext*, int, TF_Tensor**, TF_Status*))                         \
  X(TF_Tensor*, AllocateOutput,                                                                  \
    (TF_OpKernelContext*, int index, int dtype, const int64_t* dims, int num_dims, size_t bytes, \
     TF_Status*))                                                                                \
  X(TF_Tensor*, NewTensor,                                                                       \
    (int dtype, const int64_t* dims, int num_dims, void* data, size_t bytes,                     \
     void (*free)(void* data, size_t bytes, void* argument), void* argument))                    \
  X(void, SetOutput, (TF_OpKernelContext*, int index, const TF_Tensor*, TF_Status*))             \
  X(TF_Tensor*, AllocateTemp,                                                                    \
    (TF_OpKernelContext*, int dtype, const int64_t* dims, int num_dims, TfAllocatorAttributes*,  \
     TF_Status*))                                                                                \
  X(void, OpKernelContext_Failure, (TF_OpKernelContext*, TF_Status*))                            \
  X(int, TensorType, (const TF_Tensor*))                                                         \
  X(int, NumDims, (const TF_Tensor*))                                                            \
  X(int64_t, Dim, (const TF_Tensor*, int))                                                       \
  X(int64_t, TensorElementCount, (const TF_Tensor*))                                             \
  X(void*, TensorData, (const TF_Tensor*))                                                       \
  X(void, DeleteTensor, (TF_Tensor*))

struct TfApi {
#define TFJS_FTP_MEMBER(result, name, arguments) result(*name) arguments = nullptr;
  TFJS_FTP_TF_FUNCTIONS(TFJS_FTP_MEMBER)
#undef TFJS_FTP_MEMBER
};

struct TfLookup {
  bool found = false;                // a libtensorflow is loaded in this process
  std::string version;               // TF_Version(), empty if unknown
  std::string reason;                // why not, one sentence
  std::vector<std::string> missing;  // C functions it lacks
};

// Looks for a libtensorflow already loaded in this process, first under its usual names, then under
// `paths` (files that are loaded, not loaded anew). Fills *api; `missing` is empty iff all are
// there.
TfLookup LookUpTensorFlow(const std::vector<std::string>& paths, TfApi* api);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_TF_API_H_
