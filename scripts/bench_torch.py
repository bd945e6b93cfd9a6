"""Times torch.optim.AdamW(fused=True), and the authors' AdamP where its file is given, on the variables that
native/bench/cuda_lists.h lists: bench_torch.py vit|resnet|tiny ROUNDS [FTP.py]. Prints one JSON object; times are seconds
of one step by CUDA events, one number a round, in which the step runs several times."""

import importlib.util
import json
import statistics
import sys

import torch


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


def time_steps(step, repeats):
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    first.record()
    for _ in range(repeats):
        step()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1000 / repeats


def measure(name, step, rounds):
    time_steps(step, 3)
    repeats = max(5, int(0.02 / time_steps(step, 3)))
    seconds = [time_steps(step, repeats) for _ in range(rounds)]
    print(f"{name:<34} {statistics.median(seconds) * 1e6:10.1f} us", file=sys.stderr)
    return {"name": name, "repeats": repeats, "seconds": seconds}


def parameters(shapes):
    generator = torch.Generator(device="cuda").manual_seed(1)
    result = []
    for shape in shapes:
        parameter = torch.nn.Parameter(torch.randn(shape, device="cuda", generator=generator) * 0.1)
        parameter.grad = torch.randn(shape, device="cuda", generator=generator) * 0.01
        result.append(parameter)
    return result


def authors(path, shapes):
    spec = importlib.util.spec_from_file_location("authors_ftp", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    held = parameters(shapes)
    anchors = [parameter.detach().clone() for parameter in held]
    groups = [{"params": held, "pre": anchors, "name": [f"v{i}" for i in range(len(held))]}]
    return module.AdamP(groups, lr=1e-3, k=1, exclude_set=set())


def main():
    name, rounds = sys.argv[1], int(sys.argv[2])
    shapes = {"vit": vit, "resnet": resnet, "tiny": tiny}[name]()
    contenders = []
    optimizer = torch.optim.AdamW(parameters(shapes), lr=1e-3, weight_decay=0, fused=True)
    contenders.append(measure("torch.optim.AdamW(fused=True)", optimizer.step, rounds))
    del optimizer
    if len(sys.argv) > 3:
        contenders.append(measure("authors' AdamP", authors(sys.argv[3], shapes).step, min(rounds, 5)))
    print(json.dumps({
        "list": name,
        "elements": sum(torch.Size(shape).numel() for shape in shapes),
        "variables": len(shapes),
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "contenders": contenders,
    }))


main()
