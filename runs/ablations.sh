#!/usr/bin/env bash
# Generators that differ in one setting, trained on the same data for as many steps and measured on the same studies: docs/ablations.md.
# bash runs/ablations.sh runs-out/small/run runs-out/small/prepared runs-out/ablations; run again to resume.
# RUN is a finished training run; its other stages and its latents are taken over. PRESET, STEPS, STUDIES, PRECISION, DEVICE, WORKERS and VARIANTS change
# what is written below; SETTINGS (as `train --set` takes them) holds for all variants.
set -euo pipefail
run=$1 data=$2 out=$3
preset=${PRESET:-small} steps=${STEPS:-6000} studies=${STUDIES:-1000} precision=${PRECISION:-bf16} device=${DEVICE:-cuda} common=${SETTINGS:-}
variants=${VARIANTS:-base none pooled no-contrast always-prompt no-prompt full-attention raw-flow noise-prediction no-axes one-draw even-times coarse-times more-parts one-latent sixteen-latents no-mirrored}
tasks="report->frontal+lateral,frontal->lateral,frontal->lateral+report,frontal+lateral->report,nothing->frontal+lateral+report"
omnicxr=$(dirname "$0")/../.venv/bin/omnicxr

for name in $variants; do
    case $name in
        base) settings="" ;;
        none) settings="coupling=none" ;;
        pooled) settings="coupling=pooled" ;;
        no-contrast) settings="contrastive_weight=0" ;;
        always-prompt) settings="drop_prompt=0" ;;
        no-prompt) settings="prompted=false" ;;
        full-attention) settings="given_sees_generated=true" ;;
        raw-flow) settings="preconditioned=false,principal_axes=0" ;;
        noise-prediction) settings="preconditioned=false,principal_axes=0,prediction=noise" ;;
        principal-axes) settings="principal_axes=256" ;; # in the preset base, which has none: name it in VARIANTS
        no-axes) settings="principal_axes=0" ;; # in tiny and small, which have them
        one-draw) settings="report_draws=1" ;;
        even-times) settings="time_shift=0,time_spread=1,report_time_shift=0,report_time_spread=1" ;;
        coarse-times) settings="time_shift=0.35,time_spread=1.3" ;; # those of the bundled models up to the tenth
        more-parts) settings="together_share=0.3" ;;
        one-latent) settings="report_autoencoder.latent_tokens=1" ;;
        sixteen-latents) settings="report_autoencoder.latent_tokens=16" ;;
        no-mirrored) settings="mirrored_negatives=false" ;;
        *) echo "unknown variant $name" >&2; exit 2 ;;
    esac
    case $name in *latent*) own_stage=report-autoencoder ;; no-mirrored) own_stage=prompts ;; *) own_stage="" ;; esac
    folder=$out/$name
    if [ ! -d "$folder/run/model" ]; then
        rm -rf "$folder/copy"
        mkdir -p "$folder/run" "$folder/copy"
        cp -r "$run/model/"* "$folder/copy"
        rm -rf "$folder/copy/generator" "$folder/copy/guide" "$folder/copy/model_index.json"
        if [ -d "$run/latents" ]; then cp -r "$run/latents" "$folder/run"; fi
        case $own_stage in
            report-autoencoder) rm -rf "$folder/copy/report_autoencoder" "$folder/run/latents/"*-report-latents.npy ;;
            prompts) rm -rf "$folder/copy/prompts" "$folder/run/latents/"*-embeds.npy ;;
        esac
        mv "$folder/copy" "$folder/run/model"
    fi
    if [ "$common" ] && [ "$settings" ]; then settings=$common,$settings; else settings=$common$settings; fi
    train=("$omnicxr" train --preset "$preset" --set "$settings" --mixed-precision "$precision" --data "$data" --out "$folder/run")
    if [ "$own_stage" ] && [ ! -d "$folder/run/model/${own_stage//-/_}" ]; then "${train[@]}" "$own_stage"; fi
    "${train[@]}" generator --steps "$steps"
    "$omnicxr" evaluate --model "$folder/run/model" --data "$data" --num "$studies" --device "$device" ${WORKERS:+--workers "$WORKERS"} --tasks "$tasks" --out "$folder/evaluation"
    if [ "$name" != base ] && [ -f "$out/base/evaluation/metrics.json" ]; then
        "$omnicxr" evaluate --compare "$out/base/evaluation" "$folder/evaluation" --out "$folder/against-base"
    fi
done
