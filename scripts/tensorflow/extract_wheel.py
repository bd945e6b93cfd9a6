"""Takes the TensorFlow C library and the C headers out of a TensorFlow wheel.

    python3 extract_wheel.py WHEEL DEPS

writes DEPS/lib (the two shared libraries, and the linker names that point at them), DEPS/include (the headers
that a C API client includes, found by following #include lines) and DEPS/licenses. Prints one JSON line.
Only the standard library is used.
"""

import json
import os
import re
import shutil
import sys
import zipfile

LIBRARIES = {
    "libtensorflow.so": "libtensorflow_cc.so.2",
    "libtensorflow_framework.so": "libtensorflow_framework.so.2",
}
# What @tensorflow/tfjs-node's binding includes, and the kernel API.
HEADER_ROOTS = [
    "tensorflow/c/c_api.h",
    "tensorflow/c/eager/c_api.h",
    "tensorflow/c/kernels.h",
    "tensorflow/c/ops.h",
    "tensorflow/c/tf_datatype.h",
    "tensorflow/c/tf_status.h",
    "tensorflow/c/tf_tensor.h",
    "tensorflow/core/platform/ctstring_internal.h",
]
INCLUDE_PREFIX = "tensorflow/include/"
LICENSES = ["tensorflow/include/LICENSE", "tensorflow/THIRD_PARTY_NOTICES.txt"]


def extract(archive, name, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with archive.open(name) as source, open(target, "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def headers(archive, names):
    """The names of all headers reachable from HEADER_ROOTS that the wheel has."""
    pending, found = list(HEADER_ROOTS), []
    while pending:
        header = pending.pop()
        if header in found or INCLUDE_PREFIX + header not in names:
            continue
        found.append(header)
        text = archive.read(INCLUDE_PREFIX + header)
        pending += [match.decode() for match in re.findall(rb'#\s*include\s*["<]([^">]+)[">]', text)]
    return found


def main(wheel, deps):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        missing = ["tensorflow/" + library for library in LIBRARIES.values() if "tensorflow/" + library not in names]
        if missing:
            sys.exit("the wheel %s has no %s" % (os.path.basename(wheel), " and no ".join(missing)))
        found = headers(archive, names)
        for root in ("tensorflow/c/c_api.h", "tensorflow/c/eager/c_api.h"):
            if root not in found:
                sys.exit("the wheel %s has no header %s" % (os.path.basename(wheel), root))
        for link, library in LIBRARIES.items():
            extract(archive, "tensorflow/" + library, os.path.join(deps, "lib", library))
            os.symlink(library, os.path.join(deps, "lib", link))
        for header in found:
            extract(archive, INCLUDE_PREFIX + header, os.path.join(deps, "include", *header.split("/")))
        for name in LICENSES:
            if name in names:
                extract(archive, name, os.path.join(deps, "licenses", os.path.basename(name)))
        print(json.dumps({"wheel": os.path.basename(wheel), "headers": len(found)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
