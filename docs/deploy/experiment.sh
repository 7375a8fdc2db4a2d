#!/bin/sh
# From a folder of clean images to a table of PSNR and SSIM: noise, shares, material, both servers as
# processes of this machine, results, comparison. `make experiment DATA=folder OUT=folder` runs it.
#
#   experiment.sh PPDENOISE DATA OUT
#
# PPDENOISE is the program, DATA a folder of clean grey images, OUT the folder for the results:
# quality.csv, and the pictures in clean, noisy and denoised. From the environment:
#   MODEL    the denoiser                                    [fixtures/models/mlp-s25.npz]
#   FLAGS    flags of share-model, such as "--stride 12"     []
#   SIGMAS   noise levels; every image is taken at each      [25 35]
#   COUNT    the most images that are taken                  [20]
#   SEED     of the noise                                    [1]
#   MATERIAL made, by the two servers themselves, or dealt   [made]
#   KEEP     1 keeps keys, shares, material and ledgers      []
set -eu

[ $# -eq 3 ] || { echo "usage: $0 PPDENOISE DATA OUT" >&2; exit 2; }
ppdenoise=$1 data=$2 out=$3
model=${MODEL:-fixtures/models/mlp-s25.npz}
work=$out/work

mkdir -p "$out/clean" "$out/denoised"
rm -rf "$work"
mkdir -p "$work/shares" "$work/results"

server=
end() {
    # A server that still runs waits for one that failed.
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap end EXIT

"$ppdenoise" --quiet keygen --out "$work/keys"
"$ppdenoise" share-model "$model" --keys "$work/keys" --out "$work/model" ${FLAGS:-}

# Noisy images, COUNT of them, a folder for each noise level.
taken=0
for sigma in ${SIGMAS:-25 35}; do
    mkdir -p "$out/noisy/$sigma"
    for image in "$data"/*; do
        [ "$taken" -lt "${COUNT:-20}" ] || break
        case $image in *.md | *.txt) continue ;; esac
        name=$(basename "$image")
        stem=${name%.*}-s$sigma
        cp "$image" "$out/clean/$stem.${name##*.}"
        "$ppdenoise" --quiet add-noise "$image" --sigma "$sigma" --seed "${SEED:-1}" \
            --out "$out/noisy/$sigma/$stem.png"
        taken=$((taken + 1))
    done
done
for folder in "$out"/noisy/*/; do
    [ -n "$(ls "$folder")" ] || continue
    "$ppdenoise" share-image "$folder" --sigma "$(basename "$folder")" --keys "$work/keys" \
        --model "$work/model.pub" --out "$work/shares"
done

cores=$(nproc)
threads=$(((cores + 1) / 2))
# A server's step, in place of the shell that runs it.
run() {
    party=$1 step=$2
    shift 2
    exec "$ppdenoise" "$step" --party "$party" --keys "$work/keys" --model "$work/model.s$party" \
        --state "$work/state$party" --threads "$threads" "$@"
}
# A step of both servers, to their ends.
both() {
    : >"$work/server0.log"
    "$1" 0 --listen 127.0.0.1:0 2>"$work/server0.log" &
    server=$!
    # Server 0 says where it listens once its inputs are checked.
    until address=$(sed -n 's/^listening at //p' "$work/server0.log") && [ -n "$address" ]; do
        kill -0 "$server" 2>/dev/null || { cat "$work/server0.log" >&2; exit 1; }
        sleep 0.1
    done
    ("$1" 1 --connect "$address")
    wait "$server" || { cat "$work/server0.log" >&2; exit 1; }
    server=
}
material() {
    party=$1
    shift
    run "$party" gen-triplets --for "$work/shares" --out "$work/triples" "$@"
}
serve() {
    party=$1
    shift
    run "$party" serve --triplets "$work"/triples*.s"$party" --image "$work/shares" \
        --out "$work/results" "$@"
}

case ${MATERIAL:-made} in
made) both material ;;
dealt)
    "$ppdenoise" gen-triplets --for "$work/shares" --keys "$work/keys" \
        --model "$work/model.pub" --out "$work/triples"
    ;;
*) echo "MATERIAL is made or dealt" >&2; exit 2 ;;
esac
both serve

"$ppdenoise" reconstruct "$work/results" --keys "$work/keys" --out "$out/denoised" \
    --reference "$out/clean" --csv "$out/quality.csv" --force
echo "$out/quality.csv"
