#!/bin/bash
# Run a grid as a Slurm job array, and make its report once all shards have ended.
#
#   examples/slurm.sh NAME SHARDS OPTIONS...      on a login node, from the repository's root
#   examples/slurm.sh paper 20 --preset paper-n100 --seeds 0,1,2 --jobs 4
#
# OPTIONS are those of `run`. Request resources in the usual way: by the environment variables that sbatch reads
# (SBATCH_PARTITION, SBATCH_TIMELIMIT, ...) or by the lines below. Download the data sets first: shards that begin
# together would each fetch them, and nodes often have no network.
#
# If a shard hits its time limit, give the same command again: it goes on after its last checkpoint.

#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
set -euo pipefail

if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then # one shard, on its node
    exec python -m benchmark run --experiment "$1" --shard "$SLURM_ARRAY_TASK_ID/$2" --no-report "${@:3}"
fi

if (($# < 2)); then
    echo "usage: $0 NAME SHARDS OPTIONS..." >&2
    exit 2
fi
array=$(sbatch --parsable --job-name="$1" --array="1-$2" "$0" "$@")
sbatch --job-name="$1-report" --dependency="afterany:${array%%;*}" \
    --wrap="python -m benchmark report --experiment $(printf %q "$1")"
