#!/bin/sh
# Runs the lines of a file of commands, shared out over the tasks of a SLURM job array:
#   sbatch --array=1-50 book/slurm.sh _build/runs.txt
# With 50 tasks, task 3 takes lines 3, 53, 103, ... A command that fails is named and the others go on.
#SBATCH --job-name=posekit
#SBATCH --cpus-per-task=1
#SBATCH --mem=6G
#SBATCH --time=04:00:00
#SBATCH --output=_build/slurm-%A_%a.log
set -eu
export OMP_NUM_THREADS=1 POSEKIT_QUIET=1
awk -v task="$SLURM_ARRAY_TASK_ID" -v tasks="$SLURM_ARRAY_TASK_COUNT" 'NR % tasks == task % tasks' "$1" | {
    failed=0
    while IFS= read -r command; do
        sh -c "$command" </dev/null >/dev/null || {
            echo "failed: $command" >&2
            failed=1
        }
    done
    exit $failed
}
