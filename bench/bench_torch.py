"""Times torch.optim.AdamW(fused=True), and the authors' AdamP where its file is given, in turns, on the variables that
native/bench/lists.h lists. Writes JSON as bench/schema.ts describes it, so that `npm run bench -- show` has it beside
cuda_bench's; times are seconds of one step by CUDA events, one number a round, in which the step runs several times."""

import argparse
import datetime
import importlib.util
import json
import statistics
import subprocess
import time

import torch

MIN_SAMPLE_SECONDS = 0.02
WARM_UP_STEPS = 3
ADAMW_BYTES = 28  # a float32 parameter: W G m v -> m v W


def vit():
    width = 768
    block = [(width,), (width,), (3 * width, width), (3 * width,), (width, width), (width,), (width,), (width,),
             (4 * width, width), (4 * width,), (width, 4 * width), (width,)]
    return [(1, 1, width), (1, 197, width), (width, 768), (width,), *(block * 12), (width,), (width,), (1000, width),
            (1000,)]


def resnet():
    shapes = []

    def convolution(size, inputs, outputs):
        shapes.extend([(outputs, inputs, size, size), (outputs,), (outputs,)])

    convolution(7, 3, 64)
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            convolution(1, inputs, width)
            convolution(3, width, width)
            convolution(1, width, 4 * width)
            if block == 0:
                convolution(1, inputs, 4 * width)
            inputs = 4 * width
    return [*shapes, (1000, inputs), (1000,)]


def tiny():
    return [(1 + i % 8, 8 * (1 + i // 8 % 8)) for i in range(10000)]


LISTS = {"vit": ("ViT-B/16", vit), "resnet": ("ResNet-50", resnet), "tiny-10k": ("10,000 tiny", tiny)}


def parameters(shapes):
    generator = torch.Generator(device="cuda").manual_seed(1)
    result = []
    for shape in shapes:
        parameter = torch.nn.Parameter(torch.randn(shape, device="cuda", generator=generator) * 0.1)
        parameter.grad = torch.randn(shape, device="cuda", generator=generator) * 0.01
        result.append(parameter)
    return result


def fused_adamw(shapes):
    return torch.optim.AdamW(parameters(shapes), lr=1e-3, weight_decay=0, fused=True)


def authors_adamp(path, shapes):
    spec = importlib.util.spec_from_file_location("authors_ftp", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    held = parameters(shapes)
    anchors = [parameter.detach().clone() for parameter in held]
    groups = [{"params": held, "pre": anchors, "name": [f"v{i}" for i in range(len(held))]}]
    return module.AdamP(groups, lr=1e-3, k=1, exclude_set=set())


def time_steps(step, repeats):
    """Seconds of one step on the device, and of enqueueing one."""
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start = time.perf_counter()
    first.record()
    for _ in range(repeats):
        step()
    last.record()
    host = time.perf_counter() - start
    last.synchronize()
    return first.elapsed_time(last) / 1000 / repeats, host / repeats


def measure(contenders, rounds):
    """contenders: (name, bytes a parameter or None, step). Each once a round, in an order that turns round."""
    measured = []
    for name, size, step in contenders:
        time_steps(step, WARM_UP_STEPS)
        once, _ = time_steps(step, WARM_UP_STEPS)
        repeats = max(1, int(MIN_SAMPLE_SECONDS / once))
        measured.append({"name": name, "optimizer": name, "layout": None, "version": None, "checked": False,
                         "chunkElements": None, "bytesPerParameter": size, "bytes": None, "launches": None,
                         "repeats": repeats, "samples": [], "hostSamples": []})
    for turn in range(rounds):
        pairs = list(zip(measured, contenders))
        for result, (_, _, step) in pairs if turn % 2 == 0 else reversed(pairs):
            device_seconds, host_seconds = time_steps(step, result["repeats"])
            result["samples"].append(device_seconds)
            result["hostSamples"].append(host_seconds)
    return measured


def run(name, rounds, authors):
    label, shapes = LISTS[name][0], LISTS[name][1]()
    count = sum(torch.Size(shape).numel() for shape in shapes)
    contenders = [("torch-adamw-fused", ADAMW_BYTES, fused_adamw(shapes).step)]
    if authors:
        contenders.append(("authors-adamp", None, authors_adamp(authors, shapes).step))
    measured = measure(contenders, rounds)
    for contender in measured:
        if contender["bytesPerParameter"] is not None:
            contender["bytes"] = contender["bytesPerParameter"] * count
        print(f"{label:<12} {contender['name']:<20} {statistics.median(contender['samples']) * 1e6:12.1f} us")
    workload = {"name": name, "label": label, "variables": len(shapes), "parameters": count, "rows": None}
    return {"workload": workload, "contenders": measured}


def output_of(*command):
    """First line that a program prints, or None."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return None


def gpu():
    properties = torch.cuda.get_device_properties(0)
    return {"name": properties.name, "emulated": False,
            "computeCapability": f"{properties.major}.{properties.minor}",
            "memoryBytes": properties.total_memory, "multiprocessors": properties.multi_processor_count,
            "clockHz": None, "memoryClockHz": None, "memoryBusBits": None,
            "l2Bytes": getattr(properties, "L2_cache_size", None)}


def report(runs, rounds, commit, device):
    changes = None if commit else output_of("git", "status", "--porcelain", "--untracked-files=no")
    return {"kind": "cuda", "schemaVersion": 1, "program": f"bench_torch.py, PyTorch {torch.__version__}",
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit": commit or output_of("git", "rev-parse", "HEAD"),
            "modified": None if changes is None else changes != "",
            "driver": output_of("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
            "driverCuda": None, "toolkit": torch.version.cuda, "device": device, "rounds": rounds, "runs": runs,
            "leftOut": []}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", default="vit", help=f"some of {','.join(LISTS)}, with commas between")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--authors", metavar="FTP.py", help="the authors' optimizer")
    parser.add_argument("--commit", help="in place of the checkout's")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    names = options.list.split(",")
    if any(name not in LISTS for name in names) or options.rounds < 1:
        parser.error(f"--list must be some of {', '.join(LISTS)}, --rounds > 0")
    runs = [run(name, options.rounds, options.authors) for name in names]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report(runs, options.rounds, options.commit, gpu()), file)


if __name__ == "__main__":
    main()
