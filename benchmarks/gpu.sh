#!/usr/bin/env bash
# Measures bequeath on a CUDA machine that nothing can be fetched to: see usage below and benchmarks/gpu.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
benchmarks/gpu.sh [--wheels DIR] [--small] [--device NAME] [--limit SECONDS]
    Measure, in under 6 minutes on one H100 or H200: a markdown table, printed, and gpu.md and gpu.json in $OUT.
    What of numba, llvmlite and psutil cannot be imported is installed from the wheels in DIR (.whl by default), into
    a folder that is removed afterwards. torch, numpy and scipy must be there.
    Exit code 1: results of device and CPU differ. 2: something is missing, such as a CUDA device.

benchmarks/gpu.sh --pack DIR [--python 3.12]...
    Before, on a machine with a network: download these wheels, less than 60 MiB, for the Python there.

The interpreter is $PYTHON, python3 by default.
TEXT
}

python=${PYTHON:-python3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
most_mib=60

# numba and llvmlite together are just too large as they come: bzip2 inside the wheel, which pip reads as well, helps.
repack() {
    "$python" - "$@" <<'PY'
import os, sys, zipfile

for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_BZIP2) as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry), zipfile.ZIP_BZIP2)
    os.replace(path + ".new", path)
PY
}

pack() {
    local folder=$1 version platform size
    shift
    local platforms=()
    for platform in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014; do
        platforms+=(--platform "${platform}_x86_64")
    done
    mkdir -p "$folder"
    for version in "$@"; do
        "$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp \
            --python-version "$version" "${platforms[@]}" --constraint "$root/constraints.txt" \
            --dest "$folder" numba llvmlite psutil
    done
    repack "$folder"/llvmlite-*.whl
    size=$(du -sm --apparent-size "$folder" | cut -f1)
    echo "$folder: $size MiB"
    if ((size >= most_mib)); then
        echo "gpu.sh: more than $most_mib MiB; pack for one Python alone, into an empty folder" >&2
        return 1
    fi
}

imports() { PYTHONPATH=$path "$python" -c "import $1" 2>/dev/null; }

# Into a folder in front of everything else: only what is missing, or else it would hide what is there.
install_missing() {
    local name missing=()
    for name in torch numpy scipy; do
        imports "$name" || { echo "gpu.sh: $python has no $name, which must be there" >&2; exit 2; }
    done
    imports numba || missing+=(numba llvmlite)
    imports psutil || missing+=(psutil)
    ((${#missing[@]})) || return 0
    "$python" -m pip install --quiet --no-index --find-links "$wheels" --no-deps --no-compile --target "$site" \
        "${missing[@]}" || { echo "gpu.sh: ${missing[*]} missing, and not in $wheels: see --pack" >&2; exit 2; }
}

wheels=$root/.whl packed='' versions=() passed=()
while (($#)); do
    case $1 in
        -h | --help) usage; exit ;;
        --pack) packed=$2; shift 2 ;;
        --python) versions+=("$2"); shift 2 ;;
        --wheels) wheels=$2; shift 2 ;;
        *) passed+=("$1"); shift ;;
    esac
done
if [[ $packed ]]; then
    pack "$packed" "${versions[@]:-3.12}"
    exit
fi
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
path=$site:$root/src${PYTHONPATH:+:$PYTHONPATH}
install_missing
PYTHONPATH=$path "$python" "$root/benchmarks/gpu.py" "${passed[@]}"
