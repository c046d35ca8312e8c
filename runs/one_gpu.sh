#!/usr/bin/env bash
# A quarter of an hour of one GPU, as the bundled model had it last (docs/ablations.md, "The tenth bundled model"), but with the times and shares of tasks that
# the presets have since ("Times of training nearer to data" there): many processes simulate on it; half-way
# the autoencoder begins beside them; then generator, refiner and guide learn side by side, none of which fills such a card alone.
# bash runs/one_gpu.sh runs-out/gpu bundled: with a model folder's report autoencoder and prompt encoders, beginning at its image autoencoder and generator.
# The model is runs-out/gpu/run/model, with a judge of its own for `omnicxr evaluate`.
# STUDIES, MINUTES (of the generator), WORKERS (2.6 GB of the GPU's memory each) and DEVICE change what is written below. Run again to go on.
set -euo pipefail
out=${1:-runs-out/gpu} start=${2:-bundled}
studies=${STUDIES:-20000} minutes=${MINUTES:-5.4} device=${DEVICE:-cuda} workers=${WORKERS:-14} precision=${PRECISION:-bf16}
omnicxr=$(dirname "$0")/../.venv/bin/omnicxr
export OMP_NUM_THREADS=1

simulate() { "$omnicxr" simulate --studies "$1" --seed 0 --image-size 128 --workers "$workers" --device "$device" --out "$out/simulated"; }
prepare() { "$omnicxr" prepare mimic-cxr-jpg "$out/simulated" --image-size 128 --workers "$workers" --out "$1"; }
share_of_minutes() { awk "BEGIN { print $minutes * $1 }"; }
# single precision: convolutions use TF32 on a GPU, and sharp edges want more than bfloat16's 8 bits
train() { "$omnicxr" train "$1" --preset tiny --set "optimization.$1.batch_size=$2,optimization.$1.steps=100000" --from "$start" "${@:3}"; }

if [ ! -f "$out/half/manifest.json" ]; then simulate $((studies / 2)); prepare "$out/half"; fi
train image-autoencoder "${AUTOENCODER_BATCH:-64}" --budget-minutes "$(share_of_minutes 0.3)" --data "$out/half" --out "$out/autoencoder" &
if [ ! -f "$out/prepared/manifest.json" ]; then simulate "$studies"; prepare "$out/prepared"; fi
wait $!

run=$out/run
mkdir -p "$run/model"
[ -d "$run/model/image_autoencoder" ] || cp -r "$out/autoencoder/model/image_autoencoder" "$run/model/"
on=(--data "$out/prepared" --out "$run")
train generator "${GENERATOR_BATCH:-640}" --mixed-precision "$precision" --budget-minutes "$minutes" "${on[@]}" & generator=$!
until [ -f "$run/latents/validate-report-embeds.npy" ]; do kill -0 $generator; sleep 1; done # which the guide learns from, too
# the refiner has other sizes than an older model's may have: from chance
"$omnicxr" train refiner --preset tiny --set "optimization.refiner.batch_size=${REFINER_BATCH:-256},optimization.refiner.steps=100000" \
    --budget-minutes "$(share_of_minutes 0.9)" "${on[@]}" & refiner=$!
"$omnicxr" train guide --preset tiny --mixed-precision "$precision" --budget-minutes "$(share_of_minutes 0.9)" --from "$start" "${on[@]}" & guide=$!
for job in $generator $refiner $guide; do wait "$job"; done
"$omnicxr" train judge --preset tiny --budget-minutes "$(share_of_minutes 0.3)" "${on[@]}"
