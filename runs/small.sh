#!/usr/bin/env bash
# The 256 px model on one GPU: 30,000 simulated studies rendered there, half an hour of training, evaluation. Run again to resume.
# WORKERS processes simulate on the GPU; each wants 2.2 GB of its memory.
# MINUTES=25 STUDIES=30000 bash runs/small.sh runs-out/small; several GPUs: LAUNCH="accelerate launch --multi_gpu" in front of training.
set -euo pipefail
out=${1:-runs-out/small} studies=${STUDIES:-30000} minutes=${MINUTES:-25} device=${DEVICE:-cuda} workers=${WORKERS:-14}
bin=$(dirname "$0")/../.venv/bin

"$bin/omnicxr" simulate --studies "$studies" --seed 0 --image-size 256 --workers "$workers" --device "$device" --out "$out/simulated"
"$bin/omnicxr" prepare mimic-cxr-jpg "$out/simulated" --out "$out/prepared" --image-size 256
${LAUNCH:-"$bin/python"} -m omnicxr.app.cli train all --preset small --data "$out/prepared" --out "$out/run" --mixed-precision bf16 \
    --budget-minutes "$minutes" --measure 1000
