#!/usr/bin/env bash
# A whole model from nothing: simulate, prepare, train, evaluate. Run again to resume.
# The full recipe at 128 px: PRECISION=bf16 bash runs/tiny.sh tiny 14000 128 runs-out/tiny
set -euo pipefail
preset=${1:-tiny} studies=${2:-14000} size=${3:-128} out=${4:-runs-out/tiny}
omnicxr=$(dirname "$0")/../.venv/bin/omnicxr
precision=${PRECISION:-no} # PRECISION=bf16 where the processor or GPU has it

"$omnicxr" simulate --studies "$studies" --seed 0 --image-size "$size" --out "$out/simulated"
"$omnicxr" prepare mimic-cxr-jpg "$out/simulated" --out "$out/prepared" --image-size "$size"
"$omnicxr" inspect "$out/prepared"
"$omnicxr" train all --preset "$preset" --data "$out/prepared" --out "$out/run" --mixed-precision "$precision"
"$omnicxr" evaluate --model "$out/run/model" --data "$out/prepared" --out "$out/evaluation"
