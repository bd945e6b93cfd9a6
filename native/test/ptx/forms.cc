#include "forms.h"

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <type_traits>
#include <unordered_map>

namespace tfjs_ftp {
namespace ptx {
namespace {

// ---- How an operation goes over the lanes. ----

template <class To, class From, class F>
void Unary(Register* r, const Instruction& i, uint32_t mask) {
  To* const d = Lanes<To>(r[i.destination[0]]);
  const From* const a = Lanes<From>(r[i.source[0]]);
  ForLanes(mask, [=](int lane) { d[lane] = F::Of(a[lane]); });
}

template <class To, class A, class B, class F>
void Binary(Register* r, const Instruction& i, uint32_t mask) {
  To* const d = Lanes<To>(r[i.destination[0]]);
  const A* const a = Lanes<A>(r[i.source[0]]);
  const B* const b = Lanes<B>(r[i.source[1]]);
  ForLanes(mask, [=](int lane) { d[lane] = F::Of(a[lane], b[lane]); });
}

template <class T, class F>
void Ternary(Register* r, const Instruction& i, uint32_t mask) {
  T* const d = Lanes<T>(r[i.destination[0]]);
  const T* const a = Lanes<T>(r[i.source[0]]);
  const T* const b = Lanes<T>(r[i.source[1]]);
  const T* const c = Lanes<T>(r[i.source[2]]);
  ForLanes(mask, [=](int lane) { d[lane] = F::Of(a[lane], b[lane], c[lane]); });
}

void SetPredicate(Register* r, int32_t to, uint32_t value, uint32_t mask) {
  uint32_t& p = Predicate(r[to]);
  p = (p & ~mask) | (value & mask);
}

template <class T, class F>
void Compare(Register* r, const Instruction& i, uint32_t mask) {
  const T* const a = Lanes<T>(r[i.source[0]]);
  const T* const b = Lanes<T>(r[i.source[1]]);
  uint32_t result = 0;
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    result |= static_cast<uint32_t>(F::Of(a[lane], b[lane])) << lane;
  }
  SetPredicate(r, i.destination[0], result, mask);
}

template <class F>
void PredicateBinary(Register* r, const Instruction& i, uint32_t mask) {
  SetPredicate(r, i.destination[0], F::Of(Predicate(r[i.source[0]]), Predicate(r[i.source[1]])),
               mask);
}
template <class F>
void PredicateUnary(Register* r, const Instruction& i, uint32_t mask) {
  SetPredicate(r, i.destination[0], F::Of(Predicate(r[i.source[0]])), mask);
}

template <class T>
void Select(Register* r, const Instruction& i, uint32_t mask) {
  T* const d = Lanes<T>(r[i.destination[0]]);
  const T* const a = Lanes<T>(r[i.source[0]]);
  const T* const b = Lanes<T>(r[i.source[1]]);
  const uint32_t p = Predicate(r[i.source[2]]);
  ForLanes(mask, [=](int lane) { d[lane] = (p >> lane & 1) != 0 ? a[lane] : b[lane]; });
}

// mov.b64 from a pair of 32-bit registers, low one first, and to one.
void Join(Register* r, const Instruction& i, uint32_t mask) {
  uint64_t* const d = Lanes<uint64_t>(r[i.destination[0]]);
  const uint32_t* const low = Lanes<uint32_t>(r[i.source[0]]);
  const uint32_t* const high = Lanes<uint32_t>(r[i.source[1]]);
  ForLanes(mask, [=](int lane) { d[lane] = static_cast<uint64_t>(high[lane]) << 32 | low[lane]; });
}
void Part(Register* r, const Instruction& i, uint32_t mask) {
  uint32_t* const low = Lanes<uint32_t>(r[i.destination[0]]);
  uint32_t* const high = Lanes<uint32_t>(r[i.destination[1]]);
  const uint64_t* const a = Lanes<uint64_t>(r[i.source[0]]);
  ForLanes(mask, [=](int lane) {
    low[lane] = static_cast<uint32_t>(a[lane]);
    high[lane] = static_cast<uint32_t>(a[lane] >> 32);
  });
}

// ---- What is done with one lane. ----

// .ftz: a subnormal number is zero with its sign, read as well as written.
float Flush(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  bits &= (bits & 0x7f800000u) != 0 ? 0xffffffffu : 0x80000000u;
  std::memcpy(&x, &bits, sizeof(bits));
  return x;
}

template <class F>
struct Ftz {
  template <class... T>
  static auto Of(T... x) {
    if constexpr (std::is_same_v<decltype(F::Of(x...)), float>) {
      return Flush(F::Of(Flush(x)...));
    } else {
      return F::Of(Flush(x)...);
    }
  }
};

// Integers wrap round, whatever their sign: computed in 64 bits and cut.
template <class T>
uint64_t Word(T x) {
  return static_cast<uint64_t>(x);
}

struct Add {
  template <class T>
  static T Of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return a + b;
    return static_cast<T>(Word(a) + Word(b));
  }
};
struct Subtract {
  template <class T>
  static T Of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return a - b;
    return static_cast<T>(Word(a) - Word(b));
  }
};
struct Multiply {
  template <class T>
  static T Of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return a * b;
    return static_cast<T>(Word(a) * Word(b));
  }
};
struct MultiplyWide {
  static int64_t Of(int32_t a, int32_t b) { return static_cast<int64_t>(a) * b; }
  static uint64_t Of(uint32_t a, uint32_t b) { return static_cast<uint64_t>(a) * b; }
};
struct MultiplyAdd {
  template <class T>
  static T Of(T a, T b, T c) {
    return Add::Of(Multiply::Of(a, b), c);
  }
};
// Division by zero gives all ones, as on a GPU.
struct Divide {
  template <class T>
  static T Of(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0) return static_cast<T>(-1);
      if (std::is_signed_v<T> && b == static_cast<T>(-1)) return Subtract::Of(T{0}, a);
    }
    return a / b;
  }
};
struct Remainder {
  template <class T>
  static T Of(T a, T b) {
    return b == 0 ? a : Subtract::Of(a, Multiply::Of(Divide::Of(a, b), b));
  }
};
// Of a NaN and a number the number.
struct Least {
  template <class T>
  static T Of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return std::fmin(a, b);
    return b < a ? b : a;
  }
};
struct Most {
  template <class T>
  static T Of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return std::fmax(a, b);
    return a < b ? b : a;
  }
};
struct And {
  template <class T>
  static T Of(T a, T b) {
    return static_cast<T>(a & b);
  }
};
struct Or {
  template <class T>
  static T Of(T a, T b) {
    return static_cast<T>(a | b);
  }
};
struct Xor {
  template <class T>
  static T Of(T a, T b) {
    return static_cast<T>(a ^ b);
  }
};
struct Not {
  template <class T>
  static T Of(T a) {
    return static_cast<T>(~a);
  }
};
// Shifts by the width or more leave nothing but the sign.
struct ShiftLeft {
  template <class T>
  static T Of(T a, uint32_t n) {
    return n < 8 * sizeof(T) ? static_cast<T>(Word(a) << n) : T{0};
  }
};
struct ShiftRight {
  template <class T>
  static T Of(T a, uint32_t n) {
    constexpr uint32_t kMost = 8 * sizeof(T) - 1;
    if (n > kMost) return std::is_signed_v<T> ? static_cast<T>(a >> kMost) : T{0};
    return static_cast<T>(a >> n);
  }
};
struct Absolute {
  template <class T>
  static T Of(T a) {
    return std::abs(a);
  }
};
struct Negate {
  template <class T>
  static T Of(T a) {
    if constexpr (std::is_integral_v<T>) return Subtract::Of(T{0}, a);
    return -a;
  }
};
struct SquareRoot {
  template <class T>
  static T Of(T a) {
    return std::sqrt(a);
  }
};
struct Reciprocal {
  template <class T>
  static T Of(T a) {
    return T{1} / a;
  }
};
struct Same {
  template <class T>
  static T Of(T a) {
    return a;
  }
};
template <class To>
struct Convert {
  template <class T>
  static To Of(T a) {
    return static_cast<To>(a);
  }
};
struct FlushThenWiden {
  static double Of(float a) { return static_cast<double>(Flush(a)); }
};
struct NarrowThenFlush {
  static float Of(double a) { return Flush(static_cast<float>(a)); }
};
// Four bytes out of the eight of b:a, as c's digits say; digits from 8 on spread the byte's sign.
struct Permute {
  static uint32_t Of(uint32_t a, uint32_t b, uint32_t c) {
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    uint32_t result = 0;
    for (int k = 0; k < 4; ++k) {
      const uint32_t digit = c >> (4 * k) & 15;
      uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (digit & 7))) & 255;
      if ((digit & 8) != 0) byte = (byte & 128) != 0 ? 255 : 0;
      result |= byte << (8 * k);
    }
    return result;
  }
};

struct Equal {
  template <class T>
  static bool Of(T a, T b) {
    return a == b;
  }
};
// False where a float is NaN, as the comparisons without `u` are.
// Of floats false where one is NaN, as all comparisons are.
struct NotEqual {
  template <class T>
  static bool Of(T a, T b) {
    return a < b || a > b;
  }
};
struct Less {
  template <class T>
  static bool Of(T a, T b) {
    return a < b;
  }
};
struct LessOrEqual {
  template <class T>
  static bool Of(T a, T b) {
    return a <= b;
  }
};
struct Greater {
  template <class T>
  static bool Of(T a, T b) {
    return a > b;
  }
};
struct GreaterOrEqual {
  template <class T>
  static bool Of(T a, T b) {
    return a >= b;
  }
};
// The comparisons with a `u` behind their names: true where a float is NaN.
template <class Opposite>
struct Unless {
  template <class T>
  static bool Of(T a, T b) {
    return !Opposite::Of(a, b);
  }
};
struct AreNumbers {
  template <class T>
  static bool Of(T a, T b) {
    return a == a && b == b;
  }
};

// ---- The table. ----

template <class F>
struct Plain : F {};

class Forms {
 public:
  Forms();
  const Form* Find(const std::string& opcode) const {
    const auto found = forms_.find(opcode);
    return found == forms_.end() ? nullptr : &found->second;
  }

 private:
  void Put(const std::string& opcode, Kind kind, Compute compute,
           std::initializer_list<size_t> destinations, std::initializer_list<size_t> sources) {
    Form form;
    form.kind = kind;
    form.compute = compute;
    form.destinations = static_cast<int>(destinations.size());
    form.sources = static_cast<int>(sources.size());
    int at = 0;
    for (const size_t width : destinations) form.widths[at++] = static_cast<int>(width);
    for (const size_t width : sources) form.widths[at++] = static_cast<int>(width);
    forms_.emplace(opcode, form);
  }
  template <class F, class To, class From = To>
  void One(const std::string& opcode) {
    Put(opcode, Kind::kCompute, &Unary<To, From, F>, {sizeof(To)}, {sizeof(From)});
  }
  template <class F, class To, class A = To, class B = A>
  void Two(const std::string& opcode) {
    Put(opcode, Kind::kCompute, &Binary<To, A, B, F>, {sizeof(To)}, {sizeof(A), sizeof(B)});
  }
  template <class F, class T>
  void Three(const std::string& opcode) {
    Put(opcode, Kind::kCompute, &Ternary<T, F>, {sizeof(T)}, {sizeof(T), sizeof(T), sizeof(T)});
  }
  template <class F, class T>
  void Test(const std::string& opcode) {
    Put(opcode, Kind::kCompute, &Compare<T, F>, {0}, {sizeof(T), sizeof(T)});
  }

  template <class T>
  void Moves(const std::string& type) {
    One<Same, T>("mov." + type);
    Put("selp." + type, Kind::kSelect, &Select<T>, {sizeof(T)}, {sizeof(T), sizeof(T), 0});
  }
  template <class T, template <class> class How = Plain>
  void Comparisons(const std::string& type);
  template <class T>
  void Integers(const std::string& type);
  template <class T>
  void Bits(const std::string& type);
  void Floats();
  void Doubles();
  void Predicates();
  void Conversions();

  std::unordered_map<std::string, Form> forms_;
};

template <class T, template <class> class How>
void Forms::Comparisons(const std::string& type) {
  Test<How<Equal>, T>("setp.eq." + type);
  Test<How<NotEqual>, T>("setp.ne." + type);
  Test<How<Less>, T>("setp.lt." + type);
  Test<How<LessOrEqual>, T>("setp.le." + type);
  Test<How<Greater>, T>("setp.gt." + type);
  Test<How<GreaterOrEqual>, T>("setp.ge." + type);
  if constexpr (std::is_floating_point_v<T>) {
    Test<How<Unless<NotEqual>>, T>("setp.equ." + type);
    Test<How<Unless<Equal>>, T>("setp.neu." + type);
    Test<How<Unless<GreaterOrEqual>>, T>("setp.ltu." + type);
    Test<How<Unless<Greater>>, T>("setp.leu." + type);
    Test<How<Unless<LessOrEqual>>, T>("setp.gtu." + type);
    Test<How<Unless<Less>>, T>("setp.geu." + type);
    Test<How<AreNumbers>, T>("setp.num." + type);
    Test<How<Unless<AreNumbers>>, T>("setp.nan." + type);
  }
}

template <class T>
void Forms::Integers(const std::string& type) {
  Comparisons<T>(type);
  Moves<T>(type);
  Two<Add, T>("add." + type);
  Two<Subtract, T>("sub." + type);
  Two<Multiply, T>("mul.lo." + type);
  Three<MultiplyAdd, T>("mad.lo." + type);
  Two<Divide, T>("div." + type);
  Two<Remainder, T>("rem." + type);
  Two<Least, T>("min." + type);
  Two<Most, T>("max." + type);
  Two<ShiftRight, T, T, uint32_t>("shr." + type);
  if constexpr (std::is_signed_v<T>) One<Negate, T>("neg." + type);
}

template <class T>
void Forms::Bits(const std::string& type) {
  Moves<T>(type);
  Test<Plain<Equal>, T>("setp.eq." + type);
  Test<Plain<NotEqual>, T>("setp.ne." + type);
  Two<And, T>("and." + type);
  Two<Or, T>("or." + type);
  Two<Xor, T>("xor." + type);
  One<Not, T>("not." + type);
  Two<ShiftLeft, T, T, uint32_t>("shl." + type);
  Two<ShiftRight, T, T, uint32_t>("shr." + type);
}

// With .ftz alone: without it the hardware would keep subnormal numbers. Sums and products with .rn
// alone: without it ptxas may fuse the two.
void Forms::Floats() {
  Moves<float>("f32");
  Comparisons<float, Ftz>("ftz.f32");
  Two<Ftz<Add>, float>("add.rn.ftz.f32");
  Two<Ftz<Subtract>, float>("sub.rn.ftz.f32");
  Two<Ftz<Multiply>, float>("mul.rn.ftz.f32");
  Two<Ftz<Divide>, float>("div.rn.ftz.f32");
  Two<Ftz<Least>, float>("min.ftz.f32");
  Two<Ftz<Most>, float>("max.ftz.f32");
  One<Ftz<SquareRoot>, float>("sqrt.rn.ftz.f32");
  One<Ftz<Reciprocal>, float>("rcp.rn.ftz.f32");
  One<Ftz<Absolute>, float>("abs.ftz.f32");
  One<Ftz<Negate>, float>("neg.ftz.f32");
}

void Forms::Doubles() {
  Moves<double>("f64");
  Comparisons<double>("f64");
  Two<Add, double>("add.rn.f64");
  Two<Subtract, double>("sub.rn.f64");
  Two<Multiply, double>("mul.rn.f64");
  Two<Divide, double>("div.rn.f64");
  Two<Least, double>("min.f64");
  Two<Most, double>("max.f64");
  One<SquareRoot, double>("sqrt.rn.f64");
  One<Reciprocal, double>("rcp.rn.f64");
  One<Absolute, double>("abs.f64");
  One<Negate, double>("neg.f64");
}

void Forms::Predicates() {
  Put("mov.pred", Kind::kCompute, &PredicateUnary<Same>, {0}, {0});
  Put("not.pred", Kind::kCompute, &PredicateUnary<Not>, {0}, {0});
  Put("and.pred", Kind::kCompute, &PredicateBinary<And>, {0}, {0, 0});
  Put("or.pred", Kind::kCompute, &PredicateBinary<Or>, {0}, {0, 0});
  Put("xor.pred", Kind::kCompute, &PredicateBinary<Xor>, {0}, {0, 0});
}

// To the type that is named first.
void Forms::Conversions() {
  One<Convert<uint32_t>, uint32_t, uint64_t>("cvt.u32.u64");
  One<Convert<uint64_t>, uint64_t, uint32_t>("cvt.u64.u32");
  One<Convert<int64_t>, int64_t, int32_t>("cvt.s64.s32");
  One<Convert<uint32_t>, uint32_t, uint16_t>("cvt.u32.u16");
  One<Convert<uint16_t>, uint16_t, uint32_t>("cvt.u16.u32");
  One<Convert<int32_t>, int32_t, int16_t>("cvt.s32.s16");
  One<Convert<uint64_t>, uint64_t, uint16_t>("cvt.u64.u16");
  One<Convert<float>, float, int32_t>("cvt.rn.f32.s32");
  One<Convert<float>, float, uint32_t>("cvt.rn.f32.u32");
  One<Convert<float>, float, int64_t>("cvt.rn.f32.s64");
  One<Convert<double>, double, int32_t>("cvt.rn.f64.s32");
  One<Convert<double>, double, int64_t>("cvt.rn.f64.s64");
  One<FlushThenWiden, double, float>("cvt.ftz.f64.f32");
  One<NarrowThenFlush, float, double>("cvt.rn.ftz.f32.f64");
}

Forms::Forms() {
  Integers<int16_t>("s16");
  Integers<uint16_t>("u16");
  Integers<int32_t>("s32");
  Integers<uint32_t>("u32");
  Integers<int64_t>("s64");
  Integers<uint64_t>("u64");
  Bits<uint16_t>("b16");
  Bits<uint32_t>("b32");
  Bits<uint64_t>("b64");
  Floats();
  Doubles();
  Predicates();
  Conversions();
  Two<MultiplyWide, int64_t, int32_t>("mul.wide.s32");
  Two<MultiplyWide, uint64_t, uint32_t>("mul.wide.u32");
  Three<Permute, uint32_t>("prmt.b32");
  // A pointer to global memory is the same number whether it is generic or not.
  One<Same, uint64_t>("cvta.to.global.u64");
  One<Same, uint64_t>("cvta.global.u64");
  // mov.b64 with a pair of registers on either side; the parser gives it these names.
  Put("mov.b64.join", Kind::kCompute, &Join, {8}, {4, 4});
  Put("mov.b64.part", Kind::kCompute, &Part, {4, 4}, {8});
}

}  // namespace

const Form* FindForm(const std::string& opcode) {
  static const Forms* const forms = new Forms();
  return forms->Find(opcode);
}

}  // namespace ptx
}  // namespace tfjs_ftp
