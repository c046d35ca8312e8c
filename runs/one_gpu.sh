#!/usr/bin/env bash
# A quarter of an hour of one GPU, the recipe of the bundled model: many processes simulate at 256 px on it;
# after a third of the studies the autoencoder begins beside them; then generator, refiner and guide learn side by side, none of which fills such a card alone.
# bash runs/one_gpu.sh runs-out/gpu bundled: with a model folder's report autoencoder and prompt encoders, beginning at its image autoencoder, refiner and
# generator, which must have the sizes of the preset small.
# The model is runs-out/gpu/run/model, with a judge of its own for `omnicxr evaluate`.
# STUDIES, MINUTES (of the generator), WORKERS (2.2 GB of the GPU's memory each) and DEVICE change what is written below. Run again to go on.
set -euo pipefail
out=${1:-runs-out/gpu} start=${2:-bundled}
studies=${STUDIES:-13000} minutes=${MINUTES:-5.5} device=${DEVICE:-cuda} workers=${WORKERS:-14} precision=${PRECISION:-bf16}
omnicxr=$(dirname "$0")/../.venv/bin/omnicxr
export OMP_NUM_THREADS=1

simulate() { "$omnicxr" simulate --studies "$1" --seed 0 --image-size 256 --workers "$workers" --device "$device" --out "$out/simulated"; }
prepare() { "$omnicxr" prepare mimic-cxr-jpg "$out/simulated" --image-size 256 --workers "$workers" --out "$1"; }
share_of_minutes() { awk "BEGIN { print $minutes * $1 }"; }
# single precision: convolutions use TF32 on a GPU, and sharp edges want more than bfloat16's 8 bits
train() { "$omnicxr" train "$1" --preset small --set "optimization.$1.batch_size=$2,optimization.$1.steps=100000" --from "$start" "${@:3}"; }

if [ ! -f "$out/part/manifest.json" ]; then simulate $((studies / 3)); prepare "$out/part"; fi
train image-autoencoder "${AUTOENCODER_BATCH:-64}" --budget-minutes "$(share_of_minutes 0.33)" --data "$out/part" --out "$out/autoencoder" &
if [ ! -f "$out/prepared/manifest.json" ]; then simulate "$studies"; prepare "$out/prepared"; fi
wait $!

run=$out/run
mkdir -p "$run/model"
[ -d "$run/model/image_autoencoder" ] || cp -r "$out/autoencoder/model/image_autoencoder" "$run/model/"
on=(--data "$out/prepared" --out "$run")
train generator "${GENERATOR_BATCH:-1024}" --mixed-precision "$precision" --budget-minutes "$minutes" "${on[@]}" & generator=$!
until [ -f "$run/latents/validate-report-embeds.npy" ]; do kill -0 $generator; sleep 1; done # which the guide learns from, too
train refiner "${REFINER_BATCH:-96}" --budget-minutes "$(share_of_minutes 0.95)" "${on[@]}" & refiner=$!
"$omnicxr" train guide --preset small --mixed-precision "$precision" --budget-minutes "$(share_of_minutes 0.95)" --from "$start" "${on[@]}" & guide=$!
for job in $generator $refiner $guide; do wait "$job"; done
train judge "${JUDGE_BATCH:-64}" --budget-minutes "$(share_of_minutes 0.3)" "${on[@]}"
