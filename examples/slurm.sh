#!/bin/bash
# A grid as a job array of Slurm, and its report once all shards have ended.
#
#   examples/slurm.sh NAME SHARDS OPTIONS...      on a login node, from the repository's root
#   examples/slurm.sh paper 20 --preset paper-n100 --seeds 0,1,2 --jobs 4
#
# OPTIONS are those of `run`. Resources are asked for in the usual way, by what sbatch reads from the environment
# (SBATCH_PARTITION, SBATCH_TIMELIMIT, ...) or by the lines below. Data sets have to be there already: shards that
# begin together would each fetch them, and nodes often have no network.
#
# A shard that hits its time limit has lost nothing: the same command again goes on after its last completed round.

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
