#!/usr/bin/env bash
# Real studies: from a download of Open-I to a model and its tables, beside the figures that the literature reports.
#
#   bash runs/openi.sh FOLDER OUT                                  2 CPU cores, six hours
#   MINUTES=12 DEVICE=cuda bash runs/openi.sh FOLDER OUT              one GPU, 12 minutes of training
#
# FOLDER: the download, with the split of the literature as splits.csv in it (docs/data.md, "Open-I, step by step"). MINUTES: of training, shared out below.
# START: what networks begin from, "bundled", a model folder, or "" for chance. NIH=FOLDER, a download of ChestX-ray14: across hospitals, too.
# Run again to go on. Keep what is in OUT to yourself: the licence of Open-I (CC BY-NC-ND) does not allow to pass on what is made of it.
set -euo pipefail
data=$1 out=$2
minutes=${MINUTES:-250} device=${DEVICE:-cpu} start=${START-bundled} nih=${NIH:-} num=${NUM:-590}
here=$(dirname "$0") bin=$(dirname "$0")/../.venv/bin
if [ "$device" = cpu ]; then precision=no workers=2; else precision=bf16 workers=1; fi
# Two networks learn side by side, with a thread each, since the operations of one are too small for two; freed memory is kept.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=8589934592

omnicxr() { "$bin/omnicxr" "$@"; }
omnicxr prepare openi "$data" --splits "$data/splits.csv" --require frontal,lateral,report --text findings --face left --out "$out/prepared"
omnicxr inspect "$out/prepared"

run=$out/run
# 128 tokens: 99 % of the findings sections are whole
settings=image_trunk=imagenet,max_tokens=128,picture_versions=3
train() { # STAGE BATCH GPU_BATCH RATE SHARE [PRECISION]: for SHARE of MINUTES
    local from=() batch=$2
    [ "$device" = cpu ] || batch=$3
    if [ -n "$start" ] && [ "$1" != guide ]; then from=(--from "$start" --new-tokenizer); fi
    omnicxr train "$1" --preset small --data "$out/prepared" --out "$run" --keep-best "${from[@]}" --mixed-precision "${6:-no}" \
        --set "$settings,optimization.$1.batch_size=$batch,optimization.$1.learning_rate=$4,optimization.$1.steps=100000" \
        --budget-minutes "$(awk "BEGIN { print $minutes * $5 }")"
}
reports() {
    train report-autoencoder 64 128 0.0015 0.27
    train prompt-encoders 128 256 0.0005 0.05
    train judge 64 64 0.0005 0.03
}
reports & reading=$!
train image-autoencoder 8 64 0.0005 0.35
wait $reading
train refiner 8 96 0.0005 0.6 & refining=$!
train generator 32 512 0.0005 0.55 "$precision"
wait $refining
train guide 16 64 0.001 0.05 "$precision" # the last one: it makes the door of the model as it is then

omnicxr evaluate --model "$run/model" --data "$out/prepared" --num "$num" --protocol iu-xray --device "$device" --workers "$workers" --out "$out/evaluation" \
    --tasks "report->frontal,report->lateral,frontal->lateral,lateral->frontal,frontal+lateral->report,report->frontal+lateral"
if [ -n "$nih" ]; then
    omnicxr prepare nih "$nih" --describe --out "$out/nih"
    omnicxr train judge --preset small --data "$out/nih" --out "$out/nih-judge" --keep-best --set "$settings" --budget-minutes "$(awk "BEGIN { print $minutes * 0.03 }")"
    "$bin/python" "$here/../benchmarks/hospitals.py" --judge openi="$run/model" nih="$out/nih-judge/model" --films openi="$out/prepared" nih="$out/nih" \
        --generated openi-drawn="$out/evaluation" | tee "$out/hospitals.md"
fi
