#!/bin/sh
# Embeds a folder with a Slurm job array, one shard per task, then clusters it:
#   ./slurm.sh FOLDER WORKSPACE SHARDS
# All nodes share both folders. A task that is repeated continues its shard, or skips it if it is complete.
set -eu
case $1 in
--embed) exec imgcluster embed "$2" -w "$3" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" ;;
--cluster) exec imgcluster cluster -w "$2" ;;
esac
job=$(sbatch --parsable --requeue --cpus-per-task=8 --array="0-$(($3 - 1))" "$0" --embed "$1" "$2")
sbatch --cpus-per-task=8 --dependency="afterok:${job%%;*}" "$0" --cluster "$2"
