#include "parser.h"

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "forms.h"

namespace tfjs_ftp {
namespace ptx {
namespace {

struct Token {
  std::string text;
  int line;
};

bool IsWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$' ||
         c == '%';
}

// Words (names, numbers, opcodes with their modifiers), strings, and all else as single characters.
std::vector<Token> Tokenize(const std::string& text) {
  std::vector<Token> tokens;
  int line = 1;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    size_t end = at + 1;
    if (c == '\n') {
      ++line;
    } else if (text.compare(at, 2, "//") == 0) {
      end = text.find('\n', at);
    } else if (c == '"') {
      end = text.find('"', at + 1) + 1;
      tokens.push_back({text.substr(at, end - at), line});
    } else if (IsWord(c)) {
      while (end < text.size() && IsWord(text[end])) ++end;
      tokens.push_back({text.substr(at, end - at), line});
    } else if (!std::isspace(static_cast<unsigned char>(c))) {
      tokens.push_back({std::string(1, c), line});
    }
    at = end < text.size() ? end : text.size();
  }
  return tokens;
}

std::vector<std::string> SplitAtDots(const std::string& opcode) {
  std::vector<std::string> parts;
  std::istringstream stream(opcode);
  for (std::string part; std::getline(stream, part, '.');) parts.push_back(part);
  return parts;
}

struct Type {
  int bytes;  // 0: a predicate
  bool is_signed;
};
const std::map<std::string, Type>& Types() {
  static const std::map<std::string, Type> types = {
      {"pred", {0, false}}, {"b8", {1, false}},  {"u8", {1, false}},  {"s8", {1, true}},
      {"b16", {2, false}},  {"u16", {2, false}}, {"s16", {2, true}},  {"b32", {4, false}},
      {"u32", {4, false}},  {"s32", {4, true}},  {"f32", {4, false}}, {"b64", {8, false}},
      {"u64", {8, false}},  {"s64", {8, true}},  {"f64", {8, false}}};
  return types;
}

// As written: a register, number or name; "{a, b}" and "a|b" have several parts; "[a+8]" has an
// offset and is memory.
struct Operand {
  std::vector<std::string> parts;
  int64_t offset = 0;
  bool memory = false;
  bool vector = false;
};

class Parser {
 public:
  Parser(const std::string& text, const std::string& file) : tokens_(Tokenize(text)), file_(file) {}

  std::vector<Kernel> Run() {
    std::vector<Kernel> kernels;
    while (at_ < tokens_.size()) {
      const std::string word = Take();
      if (word == ".entry") {
        kernels.push_back(ParseKernel());
      } else if (word == ".version" || word == ".target" || word == ".address_size") {
        Take();
      } else if (word != ".visible" && word != ".weak") {
        Fail("directive " + word);
      }
    }
    return kernels;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    const int line = tokens_.empty() ? 0 : tokens_[at_ > 0 ? at_ - 1 : 0].line;
    throw ParseError(file_ + ":" + std::to_string(line) +
                     ": the interpreter does not know this: " + what);
  }

  const std::string& Peek() const {
    if (at_ >= tokens_.size()) Fail("the end of the file here");
    return tokens_[at_].text;
  }
  std::string Take() {
    const std::string text = Peek();
    ++at_;
    return text;
  }
  bool TakeIf(const std::string& text) {
    if (Peek() != text) return false;
    ++at_;
    return true;
  }
  void Expect(const std::string& text) {
    if (!TakeIf(text)) Fail(Peek() + " instead of " + text);
  }
  int64_t TakeNumber() {
    const bool negative = TakeIf("-");
    const int64_t value = static_cast<int64_t>(std::strtoull(Take().c_str(), nullptr, 0));
    return negative ? -value : value;
  }

  Kernel ParseKernel() {
    kernel_ = Kernel();
    kernel_.file = file_.substr(file_.rfind('/') + 1);
    registers_.clear();
    constants_.clear();
    labels_.clear();
    jumps_.clear();
    symbols_.clear();
    kernel_.name = Take();
    Expect("(");
    while (!TakeIf(")")) ParseParameter();
    while (!TakeIf("{")) Take();  // limits on threads and registers
    while (!TakeIf("}")) ParseStatement();
    for (const auto& [instruction, label] : jumps_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) Fail("the label " + label);
      kernel_.code[instruction].target = found->second;
    }
    return std::move(kernel_);
  }

  // .param [.align N] .b8 NAME[BYTES], the one parameter; or a scalar one.
  void ParseParameter() {
    TakeIf(",");
    Expect(".param");
    size_t align = 0;
    if (TakeIf(".align")) align = static_cast<size_t>(TakeNumber());
    const std::string type = Take().substr(1);
    const std::string name = Take();
    size_t bytes = static_cast<size_t>(TypeNamed(type).bytes);
    if (align == 0) align = bytes;
    if (TakeIf("[")) {
      bytes *= static_cast<size_t>(TakeNumber());
      Expect("]");
    }
    const size_t start = (kernel_.parameter_bytes + align - 1) / align * align;
    symbols_[name] = static_cast<int64_t>(start);
    kernel_.parameter_bytes = start + bytes;
  }

  void ParseStatement() {
    if (TakeIf(".reg")) return ParseRegisters();
    if (TakeIf(".shared")) return ParseShared();
    if (TakeIf(".pragma")) {
      Take();
      return Expect(";");
    }
    if (tokens_[at_ + 1].text == ":") {
      labels_[Take()] = static_cast<int32_t>(kernel_.code.size());
      return Expect(":");
    }
    ParseInstruction();
  }

  // .reg .b32 %r<12>; or .reg .b32 %a, %b;
  void ParseRegisters() {
    const int bytes = TypeNamed(Take().substr(1)).bytes;
    do {
      const std::string name = Take();
      if (TakeIf("<")) {
        const int64_t count = TakeNumber();
        for (int64_t i = 0; i < count; ++i) {
          registers_[name + std::to_string(i)] = {kernel_.registers++, bytes};
        }
        Expect(">");
      } else {
        registers_[name] = {kernel_.registers++, bytes};
      }
    } while (TakeIf(","));
    Expect(";");
  }

  // .shared .align 16 .b8 NAME[BYTES];
  void ParseShared() {
    Expect(".align");
    const size_t align = static_cast<size_t>(TakeNumber());
    Expect(".b8");
    const std::string name = Take();
    Expect("[");
    const size_t start = (kernel_.shared_bytes + align - 1) / align * align;
    symbols_[name] = static_cast<int64_t>(start);
    kernel_.shared_bytes = start + static_cast<size_t>(TakeNumber());
    Expect("]");
    Expect(";");
  }

  Type TypeNamed(const std::string& name) const {
    const auto found = Types().find(name);
    if (found == Types().end()) Fail("the type " + name);
    return found->second;
  }

  struct Declared {
    int32_t number;
    int bytes;
  };
  Declared Find(const std::string& name) const {
    const auto found = registers_.find(name);
    if (found == registers_.end()) Fail("the register " + name);
    return found->second;
  }
  int32_t RegisterOf(const std::string& name, int bytes) const {
    const Declared found = Find(name);
    if (found.bytes != bytes) Fail(name + " in an instruction of another width");
    return found.number;
  }

  // Constants are registers that are never written.
  int32_t ConstantOf(uint64_t value, int bytes) {
    const auto [entry, is_new] = constants_.try_emplace({value, bytes}, kernel_.registers);
    if (is_new) {
      kernel_.constants.push_back({kernel_.registers++, static_cast<uint8_t>(bytes), value});
    }
    return entry->second;
  }

  int32_t SpecialOf(const std::string& name) {
    SpecialRegisters& special = kernel_.special;
    int32_t* const number = name == "%tid.x"      ? &special.thread
                            : name == "%ctaid.x"  ? &special.block
                            : name == "%ntid.x"   ? &special.threads
                            : name == "%nctaid.x" ? &special.blocks
                                                  : nullptr;
    if (number == nullptr) return kNoRegister;
    if (*number == kNoRegister) *number = kernel_.registers++;
    return *number;
  }

  // A source: register, special register, number, or the address of a parameter or of shared
  // memory.
  int32_t SourceOf(const Operand& operand, const std::string& name, int bytes) {
    if (const int32_t special = SpecialOf(name); special != kNoRegister) {
      if (bytes != 4) Fail(name + " in an instruction of another width");
      return special;
    }
    if (name[0] == '%') return RegisterOf(name, bytes);
    const std::string start = name.substr(0, 2);
    if (start == "0f" || start == "0F" || start == "0d" || start == "0D") {
      return ConstantOf(std::strtoull(name.c_str() + 2, nullptr, 16), bytes);
    }
    if (std::isdigit(static_cast<unsigned char>(name[0]))) {
      const uint64_t value = std::strtoull(name.c_str(), nullptr, 0);
      return ConstantOf(value + static_cast<uint64_t>(operand.offset), bytes);
    }
    const auto symbol = symbols_.find(name);
    if (symbol == symbols_.end()) Fail("the operand " + name);
    return ConstantOf(static_cast<uint64_t>(symbol->second + operand.offset), bytes);
  }

  Operand ParseOperand() {
    Operand operand;
    if (TakeIf("-")) {
      operand.parts.push_back("0");
      operand.offset = -TakeNumber();
      return operand;
    }
    if (TakeIf("{")) {
      operand.vector = true;
      do operand.parts.push_back(Take());
      while (TakeIf(","));
      Expect("}");
      return operand;
    }
    operand.memory = TakeIf("[");
    do operand.parts.push_back(Take());
    while (TakeIf("|"));
    if (TakeIf("+")) operand.offset = TakeNumber();
    if (operand.memory) Expect("]");
    return operand;
  }

  void ParseInstruction() {
    const size_t first = at_;
    Instruction instruction;
    if (TakeIf("@")) {
      instruction.guard_negated = TakeIf("!");
      instruction.guard = RegisterOf(Take(), 0);
    }
    const std::string opcode = Take();
    std::vector<Operand> operands;
    while (!TakeIf(";")) {
      TakeIf(",");
      operands.push_back(ParseOperand());
    }
    Decode(opcode, operands, &instruction);
    std::string text;
    for (size_t i = first; i + 1 < at_; ++i) {
      text += (i == first ? "" : " ") + tokens_[i].text;
    }
    kernel_.code.push_back(instruction);
    kernel_.text.push_back(text);
    kernel_.line.push_back(tokens_[first].line);
  }

  void Decode(const std::string& opcode, const std::vector<Operand>& operands,
              Instruction* instruction) {
    const std::string name = opcode.substr(0, opcode.find('.'));
    if (opcode == "bra" || opcode == "bra.uni") {
      instruction->kind = Kind::kBranch;
      jumps_.emplace_back(kernel_.code.size(), operands.at(0).parts[0]);
    } else if (opcode == "ret") {
      instruction->kind = Kind::kReturn;
    } else if (opcode == "bar.sync" && operands.size() == 1 && operands[0].parts[0] == "0") {
      instruction->kind = Kind::kBarrier;
    } else if (opcode == "membar.gl" || opcode == "fence.acq_rel.gpu" || opcode == "fence.sc.gpu") {
      instruction->kind = Kind::kFence;
    } else if (opcode == "nanosleep.u32") {
      instruction->kind = Kind::kPause;
    } else if (opcode == "shfl.sync.bfly.b32") {
      DecodeShuffle(operands, instruction);
    } else if (name == "ld" || name == "st") {
      DecodeAccess(opcode, operands, instruction);
    } else if (name == "atom" || name == "red") {
      DecodeAtomic(opcode, operands, instruction);
    } else {
      DecodeForm(opcode, operands, instruction);
    }
  }

  void DecodeForm(std::string opcode, const std::vector<Operand>& operands,
                  Instruction* instruction) {
    if (opcode == "mov.b64" && operands.at(0).vector) opcode += ".part";
    if (opcode == "mov.b64" && operands.at(1).vector) opcode += ".join";
    const Form* const form = FindForm(opcode);
    if (form == nullptr) Fail("the instruction " + opcode);
    instruction->kind = form->kind;
    instruction->compute = form->compute;
    int at = 0;
    for (const Operand& operand : operands) {
      for (const std::string& part : operand.parts) {
        if (at == form->destinations + form->sources) Fail("the operands of " + opcode);
        const int width = form->widths[at];
        if (at < form->destinations) {
          instruction->destination[instruction->destinations++] = RegisterOf(part, width);
        } else {
          instruction->source[instruction->sources++] = SourceOf(operand, part, width);
        }
        ++at;
      }
    }
    if (at != form->destinations + form->sources) Fail("the operands of " + opcode);
  }

  // Its sources are the value, the distance, the clamp and the member mask.
  void DecodeShuffle(const std::vector<Operand>& operands, Instruction* instruction) {
    if (operands.size() != 5) Fail("the operands of a shuffle");
    instruction->kind = Kind::kShuffle;
    for (size_t i = 0; i < operands[0].parts.size(); ++i) {
      instruction->destination[instruction->destinations++] =
          RegisterOf(operands[0].parts[i], i == 0 ? 4 : 0);
    }
    for (size_t i = 1; i < operands.size(); ++i) {
      instruction->source[instruction->sources++] = SourceOf(operands[i], operands[i].parts[0], 4);
    }
  }

  void SetAddress(const Operand& operand, Instruction* instruction) {
    if (!operand.memory) Fail("an access without an address");
    instruction->offset = operand.offset;
    const std::string& name = operand.parts[0];
    if (name[0] != '%') {
      const auto symbol = symbols_.find(name);
      if (symbol == symbols_.end()) Fail("the address " + name);
      instruction->offset += symbol->second;
      instruction->address = ConstantOf(0, 8);
      instruction->uniform_address = true;
      return;
    }
    const Declared found = Find(name);
    // Shared memory has 32-bit addresses too; the machine looks at 64 bits.
    if (found.bytes != 8 && !(found.bytes == 4 && instruction->space == Space::kShared)) {
      Fail("the address " + name);
    }
    instruction->address = found.number;
    instruction->narrow_address = found.bytes == 4;
  }

  void DecodeAccess(const std::string& opcode, const std::vector<Operand>& operands,
                    Instruction* instruction) {
    const std::vector<std::string> parts = SplitAtDots(opcode);
    const bool load = parts[0] == "ld";
    instruction->kind = load ? Kind::kLoad : Kind::kStore;
    // Caches are not modelled, and memory is sequentially consistent.
    static const std::set<std::string> hints = {"ca", "cg", "cs", "volatile", "relaxed", "gpu"};
    for (size_t i = 1; i + 1 < parts.size(); ++i) {
      const std::string& part = parts[i];
      if (part == "global") continue;
      if (part == "shared") {
        instruction->space = Space::kShared;
      } else if (part == "param") {
        instruction->space = Space::kParameter;
      } else if (part == "v2" || part == "v4") {
        instruction->elements = part == "v2" ? 2 : 4;
      } else if (hints.count(part) == 0) {
        Fail("the instruction " + opcode);
      }
    }
    const Type type = TypeNamed(parts.back());
    instruction->bytes = static_cast<uint8_t>(type.bytes);
    instruction->is_signed = type.is_signed;
    if (operands.size() != 2) Fail("the operands of " + opcode);
    SetAddress(operands[load ? 1 : 0], instruction);
    const Operand& values = operands[load ? 0 : 1];
    if (values.parts.size() != instruction->elements) Fail("the operands of " + opcode);
    for (const std::string& part : values.parts) {
      // Bytes go to and come from registers of 16 bits or more, like all narrow values.
      int width = type.bytes < 2 ? 2 : type.bytes;
      if (part[0] == '%' && registers_.count(part) != 0) width = Find(part).bytes;
      if (width < type.bytes) Fail(part + " in an instruction of another width");
      instruction->register_bytes = static_cast<uint8_t>(width);
      if (load) {
        instruction->destination[instruction->destinations++] = RegisterOf(part, width);
      } else {
        instruction->source[instruction->sources++] = SourceOf(values, part, width);
      }
    }
  }

  void DecodeAtomic(const std::string& opcode, const std::vector<Operand>& operands,
                    Instruction* instruction) {
    static const std::map<std::string, AtomicOp> known = {{"atom.global.add.u32", AtomicOp::kAdd},
                                                          {"atom.global.add.s32", AtomicOp::kAdd},
                                                          {"red.global.add.u32", AtomicOp::kAdd},
                                                          {"atom.global.min.s32", AtomicOp::kMin},
                                                          {"red.global.min.s32", AtomicOp::kMin}};
    const auto found = known.find(opcode);
    if (found == known.end()) Fail("the instruction " + opcode);
    instruction->kind = Kind::kAtomic;
    instruction->atomic = found->second;
    size_t at = 0;
    if (opcode[0] == 'a') {
      instruction->destination[instruction->destinations++] =
          RegisterOf(operands.at(at++).parts[0], 4);
    }
    SetAddress(operands.at(at), instruction);
    instruction->source[instruction->sources++] =
        SourceOf(operands.at(at + 1), operands.at(at + 1).parts[0], 4);
  }

  std::vector<Token> tokens_;
  std::string file_;
  size_t at_ = 0;
  Kernel kernel_;
  std::map<std::string, Declared> registers_;
  std::map<std::pair<uint64_t, int>, int32_t> constants_;
  std::map<std::string, int64_t> symbols_;  // of parameters and shared memory, each in its space
  std::map<std::string, int32_t> labels_;
  std::vector<std::pair<size_t, std::string>> jumps_;
};

}  // namespace

std::vector<Kernel> Parse(const std::string& text, const std::string& file) {
  return Parser(text, file).Run();
}

std::vector<Kernel> ParseFile(const std::string& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) throw ParseError("cannot read " + file);
  return Parse(text.str(), file);
}

}  // namespace ptx
}  // namespace tfjs_ftp
