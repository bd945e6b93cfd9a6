// Tests of the interpreter on snippets of PTX: what instructions compute, lanes that part and meet
// again, and every kind of fault that it must find.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "../driven.h"
#include "machine.h"
#include "parser.h"

namespace tfjs_ftp {
namespace {

using ptx::Allocation;
using ptx::Kernel;
using ptx::Launch;
using ptx::Order;

// A kernel with a pointer as its argument: %rd1 is the pointer, %r1 the thread, %rd3 the address of
// the thread's own word there. `cells` is its shared memory.
Kernel MakeKernel(const std::string& body) {
  const std::string text = R"(
// as nvcc writes it
.version 8.0
.target sm_90
.address_size 64
.visible .entry kernel(
	.param .u64 kernel_param_0
)
.maxntid 256, 1, 1
{
	.reg .pred %p<8>;
	.reg .b16 %rs<8>;
	.reg .b32 %r<32>;
	.reg .f32 %f<16>;
	.reg .b64 %rd<16>;
	.reg .f64 %fd<8>;
	.shared .align 16 .b8 cells[1024];
	ld.param.u64 %rd1, [kernel_param_0];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd3, %rd1, %rd2;
	mov.u32 %r30, cells;
	shl.b32 %r31, %r1, 2;
	add.s32 %r31, %r30, %r31;
)" + body + "\nret;\n}\n";
  return ptx::Parse(text, "test.ptx").at(0);
}

// Words of device memory, one allocation, and a run on them.
struct Run {
  std::vector<uint32_t> words = std::vector<uint32_t>(512, 0);
  std::string fault;

  explicit Run(const std::string& body, Launch launch = Launch()) {
    const Kernel kernel = MakeKernel(body);
    const uint64_t begin = reinterpret_cast<uint64_t>(words.data());
    const Allocation all = {begin, begin + words.size() * sizeof(uint32_t)};
    launch.parameters = &begin;
    fault = ptx::Machine().Run(kernel, launch, [&](uint64_t address) {
      return all.Holds(address, 1) ? all : Allocation();
    });
  }
};

Launch Threads(int threads) {
  Launch launch;
  launch.threads = threads;
  return launch;
}

void Faults(const char* name, const std::string& body, const std::string& expected,
            const Launch& launch = Threads(64)) {
  const std::string fault = Run(body, launch).fault;
  CHECK(fault.find(expected) != std::string::npos, "%s: '%s'", name, fault.c_str());
}

void Refused(const std::string& body, const std::string& expected) {
  std::string message = "nothing";
  try {
    MakeKernel(body);
  } catch (const ptx::ParseError& error) {
    message = error.what();
  }
  CHECK(message.find(expected) != std::string::npos, "%s: %s", body.c_str(), message.c_str());
}

// What `body` leaves in %r2, of 32 and of 64 bits alike.
void Computes(const std::string& body, uint32_t expected) {
  // All lanes, and one alone: two ways through the code.
  for (const char* const guard : {"", "setp.ne.s32 %p7, %r1, 5; @%p7 bra END;"}) {
    const Run run(guard + body + "st.global.u32 [%rd3], %r2; END:", Threads(32));
    CHECK(run.fault.empty() && run.words[5] == expected, "%s: %08x, not %08x %s", body.c_str(),
          run.words[5], expected, run.fault.c_str());
  }
}

void ComputesFloat(const std::string& body, uint32_t expected) {
  Computes(body + "mov.b32 %r2, %f2;", expected);
}

void TestArithmetic() {
  Computes("mov.u32 %r3, 2147483647; add.s32 %r2, %r3, 1;", 0x80000000u);
  Computes("mov.u32 %r3, 7; sub.s32 %r2, 3, %r3;", 0xfffffffcu);
  Computes("mov.u32 %r3, -7; div.s32 %r2, %r3, 2;", 0xfffffffdu);
  Computes("mov.u32 %r3, -7; rem.s32 %r2, %r3, 4;", 0xfffffffdu);
  Computes("mov.u32 %r3, -7; div.u32 %r2, %r3, 2;", 0x7ffffffcu);
  Computes("mov.u32 %r3, -8; shr.s32 %r2, %r3, 1;", 0xfffffffcu);
  Computes("mov.u32 %r3, -8; shr.u32 %r2, %r3, 1;", 0x7ffffffcu);
  Computes("mov.u32 %r3, 1; shl.b32 %r2, %r3, 32;", 0);
  Computes("mov.u32 %r3, 5; mad.lo.s32 %r2, %r3, %r3, -1;", 24);
  Computes("mov.u32 %r3, -5; max.s32 %r2, %r3, 1;", 1);
  Computes("mov.u32 %r3, -5; max.u32 %r2, %r3, 1;", 0xfffffffbu);
  Computes("mov.u32 %r3, 0x04030201; mov.u32 %r4, 0x88070605; prmt.b32 %r2, %r3, %r4, 0xf702;",
           0xff880103u);
  // Products and quotients of 64 bits, through their upper words.
  Computes(
      "mov.u32 %r3, -2; mul.wide.s32 %rd5, %r3, 3; shr.s64 %rd6, %rd5, 32; cvt.u32.u64 %r2, %rd6;",
      0xffffffffu);
  Computes(
      "mov.u64 %rd5, 0x500000000; mov.u64 %rd6, 5; div.s64 %rd7, %rd5, %rd6;"
      "mov.b64 {%r3, %r2}, %rd7;",
      1);
  Computes("mov.u32 %r3, 3; mov.u32 %r4, 9; mov.b64 %rd5, {%r3, %r4}; mov.b64 {%r5, %r2}, %rd5;",
           9);
  Computes(
      "setp.lt.s32 %p1, %r1, 9; setp.gt.s32 %p2, %r1, 9; or.pred %p3, %p1, %p2;"
      "selp.b32 %r2, 11, 12, %p3;",
      11);
  Computes(
      "mov.u32 %r3, 7; setp.eq.b32 %p1, %r3, 7; setp.ne.b32 %p2, %r3, 7; mov.pred %p3, 0;"
      "xor.pred %p4, %p1, %p3; or.pred %p5, %p2, %p4; selp.b32 %r2, 11, 12, %p5;",
      11);
  // Float32: 1.5 + 2.25; a subnormal number counts as zero, read and written.
  ComputesFloat("mov.f32 %f1, 0f3FC00000; add.rn.ftz.f32 %f2, %f1, 0f40100000;", 0x40700000u);
  ComputesFloat("mov.f32 %f1, 0f80000001; add.rn.ftz.f32 %f2, %f1, 0f00000000;", 0);
  ComputesFloat("mov.f32 %f1, 0f80800000; mul.rn.ftz.f32 %f2, %f1, 0f3F000000;", 0x80000000u);
  ComputesFloat("mov.f32 %f1, 0f41100000; sqrt.rn.ftz.f32 %f2, %f1;", 0x40400000u);
  ComputesFloat("mov.f32 %f1, 0f7FC00000; max.ftz.f32 %f2, %f1, 0fC0000000;", 0xc0000000u);
  ComputesFloat("mov.f64 %fd1, 0d3FF0000000000001; cvt.rn.ftz.f32.f64 %f2, %fd1;", 0x3f800000u);
  Computes(
      "mov.f32 %f1, 0f7FC00000; setp.ne.ftz.f32 %p1, %f1, %f1; setp.neu.ftz.f32 %p2, %f1, %f1;"
      "selp.b32 %r3, 1, 0, %p1; selp.b32 %r4, 2, 0, %p2; add.s32 %r2, %r3, %r4;",
      2);
  // Bytes with and without a sign.
  Computes("st.shared.u32 [%r31], -2; ld.shared.s8 %rs1, [%r31]; cvt.s32.s16 %r2, %rs1;",
           0xfffffffeu);
  Computes("st.shared.u32 [%r31], -2; ld.shared.u8 %r2, [%r31];", 0xfeu);
}

void TestLanes() {
  // Odd threads and even ones, and loops of different lengths, then together again.
  const Run run(R"(
	and.b32 %r3, %r1, 1;
	setp.eq.s32 %p1, %r3, 0;
	mov.u32 %r2, 0;
	@%p1 bra EVEN;
	add.s32 %r2, %r2, 1000;
	bra.uni LOOP;
EVEN:
	add.s32 %r2, %r2, 2000;
LOOP:
	mov.u32 %r4, 0;
AGAIN:
	setp.ge.u32 %p2, %r4, %r1;
	@%p2 bra DONE;
	add.s32 %r4, %r4, 1;
	bra.uni AGAIN;
DONE:
	add.s32 %r2, %r2, %r4;
	mov.u32 %r5, 31;
	mov.u32 %r6, -1;
	shfl.sync.bfly.b32 %r7|%p3, %r2, 1, %r5, %r6;
	st.global.u32 [%rd3], %r7;)",
                Threads(64));
  CHECK(run.fault.empty(), "%s", run.fault.c_str());
  for (uint32_t i = 0; i < 64; ++i) {
    const uint32_t other = i ^ 1;
    CHECK(run.words[i] == (other % 2 == 0 ? 2000 : 1000) + other, "lane %u: %u", i, run.words[i]);
  }
  // A last warp that is not full.
  const Run part("st.global.u32 [%rd3], 7;", Threads(40));
  CHECK(std::accumulate(part.words.begin(), part.words.end(), 0u) == 40 * 7, "threads of a warp");
  // A vector of words, each where it belongs.
  const Run vectors(R"(
	mul.wide.u32 %rd5, %r1, 16;
	add.s64 %rd6, %rd1, %rd5;
	st.global.v4.u32 [%rd6], {%r1, 1, 2, 3};
	ld.global.v2.u32 {%r4, %r5}, [%rd6+8];
	sub.s32 %r6, %r5, %r4;
	st.global.u32 [%rd6+12], %r6;)",
                    Threads(32));
  CHECK(vectors.words[4 * 9] == 9 && vectors.words[4 * 9 + 2] == 2 && vectors.words[4 * 9 + 3] == 1,
        "vector access");
}

// Each thread gives its number to the one across the block, through shared memory.
const char* const kExchange[] = {
    "st.shared.u32 [%r31], %r1;", "bar.sync 0;",
    "sub.s32 %r4, 252, %r31; add.s32 %r4, %r4, %r30; add.s32 %r4, %r4, %r30;"
    "ld.shared.u32 %r5, [%r4]; st.global.u32 [%rd3], %r5;"};

void TestBarriers() {
  const std::string write = kExchange[0];
  const std::string barrier = kExchange[1];
  const std::string read = kExchange[2];
  for (const Order order : {Order::kForward, Order::kBackward, Order::kShuffled}) {
    Launch launch = Threads(64);
    launch.order = order;
    const Run run(write + barrier + read, launch);
    CHECK(run.fault.empty() && run.words[10] == 53, "%u %s", run.words[10], run.fault.c_str());
    // Within one warp too, whose lanes happen to run together here.
    launch.threads = order == Order::kShuffled ? 64 : 32;
    Faults("no barrier", write + "xor.b32 %r4, %r31, 4; ld.shared.u32 %r5, [%r4];",
           "without a barrier between the two: ld.shared.u32", launch);
    Faults("no barrier before the next write",
           write + barrier + "xor.b32 %r4, %r31, 64; ld.shared.u32 %r5, [%r4];" + write,
           "writes what another thread has read", launch);
    Faults("two writers", "st.shared.u32 [%r30], %r1;", "writes what another thread has written",
           launch);
  }
  Faults("barriers in two branches",
         "setp.lt.u32 %p1, %r1, 9; @%p1 bra A; bar.sync 0; bra.uni B; A: bar.sync 0; B:",
         "wait elsewhere");
  Faults("a barrier under a condition", "setp.lt.u32 %p1, %r1, 32; @%p1 bar.sync 0; bar.sync 0;",
         "waits at another barrier than other threads");
  Faults("threads that have ended", "setp.lt.u32 %p1, %r1, 9; @%p1 ret; bar.sync 0;",
         "other threads have ended");
  Faults("a warp that has ended", "setp.lt.u32 %p1, %r1, 32; @%p1 ret; bar.sync 0;",
         "other threads have ended");
  const std::string shuffle =
      "mov.u32 %r6, -1; mov.u32 %r5, 31; shfl.sync.bfly.b32 %r7|%p3, %r1, 1, %r5, %r6;";
  Faults("a shuffle of a part",
         "setp.lt.u32 %p1, %r1, 9; @%p1 bra END;" + shuffle + "END:", "lanes that are not there");
  Faults("a shuffle by narrower groups",
         "mov.u32 %r6, -1; shfl.sync.bfly.b32 %r7, %r1, 1, 15, %r6;", "within part of a warp");
}

void TestAccesses() {
  Faults("behind an allocation", "ld.global.u32 %r2, [%rd3+1796];",
         "thread 63 touches what is outside of live device memory: ld.global.u32");
  Faults("before it", "st.global.u32 [%rd3+-4], 1;", "thread 0 touches what is outside");
  Faults("a vector that begins within", "ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd1+2048];",
         "outside of live device memory");
  Faults("null", "mov.u64 %rd5, 0; ld.global.u32 %r2, [%rd5];", "outside of live device memory");
  Faults("an unaligned vector", "ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd1+8];",
         "not aligned to the size of the access: ld.global.v4.u32");
  Faults("an unaligned word", "st.shared.u32 [%r30+2], 1;", "not aligned");
  Faults("shared memory", "st.shared.u32 [%r30+1024], 1;", "outside of the block's shared memory");
  Faults("the parameters", "ld.param.u64 %rd5, [kernel_param_0+8];", "outside of the parameters");
}

void TestUndefined() {
  Faults("an address", "ld.global.u32 %r2, [%rd5];", "has its address from a register");
  Faults("a branch", "@%p1 bra END; END:", "is guarded by a register that was never written");
  Faults("a sum", "add.s32 %r2, %r3, 1; st.global.u32 [%rd3], %r2;",
         "stores a register that was never written: st.global.u32");
  Faults("in some lanes",
         "setp.lt.u32 %p1, %r1, 40; @%p1 mov.u32 %r2, 1; st.global.u32 [%rd3], %r2;",
         "thread 40 stores a register");
  Faults("shared memory", "ld.shared.u32 %r2, [%r31]; st.global.u32 [%rd3], %r2;",
         "stores a register that was never written");
  Faults(
      "through a shuffle",
      "mov.u32 %r6, -1; mov.u32 %r5, 31; setp.eq.u32 %p1, %r1, 3;"
      "@%p1 mov.u32 %r2, 1; shfl.sync.bfly.b32 %r7, %r2, 1, %r5, %r6; st.global.u32 [%rd3], %r7;",
      "thread 0 stores a register");
  // What is not used may be undefined: the one that is not selected, padding of a copied struct.
  const Run run(
      "setp.eq.s32 %p1, 1, 1; mov.u32 %r2, 4; selp.b32 %r4, %r2, %r3, %p1;"
      "and.b16 %rs2, %rs1, 255; st.shared.v2.u16 [%r31], {2, %rs2};"
      "ld.shared.u16 %r5, [%r31]; add.s32 %r4, %r4, %r5; st.global.u32 [%rd3], %r4;",
      Threads(32));
  CHECK(run.fault.empty() && run.words[3] == 6, "%u %s", run.words[3], run.fault.c_str());
}

// Block 0 waits until block 1 has set a word; and every block takes a number.
void TestBlocks() {
  const std::string wait = R"(
	mov.u32 %r3, %ctaid.x;
	setp.eq.u32 %p1, %r3, 1;
	@%p1 bra SET;
WAIT:
	ld.volatile.global.u32 %r4, [%rd1];
	setp.ne.u32 %p2, %r4, 0;
	@%p2 bra END;
	nanosleep.u32 100;
	bra.uni WAIT;
SET:
	membar.gl;
	st.volatile.global.u32 [%rd1], 1;
END:)";
  Launch launch = Threads(32);
  launch.blocks = 2;
  for (const Order order : {Order::kForward, Order::kBackward, Order::kShuffled}) {
    launch.order = order;
    launch.resident = 2;
    CHECK(Run(wait, launch).fault.empty(), "blocks side by side");
  }
  launch.order = Order::kForward;
  launch.resident = 1;
  Faults("a block that waits for one behind it", wait, "no block can go on", launch);

  launch.blocks = 100;
  launch.resident = 3;
  launch.order = Order::kShuffled;
  const Run numbers(R"(
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra END;
	atom.global.add.u32 %r3, [%rd1], 1;
	mul.wide.u32 %rd5, %r3, 4;
	add.s64 %rd6, %rd1, %rd5;
	mov.u32 %r4, %ctaid.x;
	add.s32 %r4, %r4, 1;
	st.global.u32 [%rd6+4], %r4;
	atom.global.min.s32 %r5, [%rd1+800], -5;
END:)",
                    launch);
  CHECK(numbers.fault.empty() && numbers.words[0] == 100, "%u", numbers.words[0]);
  CHECK(numbers.words[200] == static_cast<uint32_t>(-5), "least");
  std::vector<uint32_t> taken(numbers.words.begin() + 1, numbers.words.begin() + 101);
  CHECK(!std::is_sorted(taken.begin(), taken.end()), "shuffled blocks");
  std::sort(taken.begin(), taken.end());
  for (uint32_t i = 0; i < 100; ++i) CHECK(taken[i] == i + 1, "block %u", i);

  const std::string last = "mov.u32 %r3, %ctaid.x; st.global.u32 [%rd3], %r3;";
  for (const Order order : {Order::kForward, Order::kBackward}) {
    launch.order = order;
    CHECK(Run(last, launch).words[0] == (order == Order::kForward ? 99u : 0u), "order of blocks");
  }
}

void TestRefused() {
  Refused("add.f32 %f1, %f2, %f3;", "the instruction add.f32");  // ptxas may fuse it
  Refused("add.rn.f32 %f1, %f2, %f3;", "the instruction add.rn.f32");
  Refused("div.approx.ftz.f32 %f1, %f2, %f3;", "the instruction div.approx.ftz.f32");
  Refused("bar.sync 1;", "the instruction bar.sync");
  Refused("ld.global.nc.f32 %f1, [%rd1];", "the instruction ld.global.nc.f32");
  Refused("add.s64 %rd1, %rd1, %r1;", "%r1 in an instruction of another width");
  Refused("add.s32 %r1, %r1;", "the operands of add.s32");
  Refused("bra NOWHERE;", "the label NOWHERE");
  Refused("mov.u32 %r77, 1;", "the register %r77");
}

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  TestArithmetic();
  TestLanes();
  TestBarriers();
  TestAccesses();
  TestUndefined();
  TestBlocks();
  TestRefused();
  std::printf("PTX: %d checks, %d failures\n", g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
