#!/bin/sh
# Runs the lines of a file of commands, shared out over the tasks of a SLURM job array:
#   sbatch --array=1-50 book/slurm.sh _build/runs.txt
# With 50 tasks, task 3 takes lines 3, 53, 103, ... A command that fails is named and the others go on.
#SBATCH --job-name=posekit
#SBATCH --cpus-per-task=1
#SBATCH --mem=6G
#SBATCH --time=04:00:00
#SBATCH --output=_build/slurm-%A_%a.log
#SBATCH --no-requeue
set -eu
export OMP_NUM_THREADS=1 POSEKIT_QUIET=1
list=${1:?the file of commands is missing}
task=${SLURM_ARRAY_TASK_ID:?submit it with --array}
tasks=$SLURM_ARRAY_TASK_COUNT
if [ $((SLURM_ARRAY_TASK_MAX - SLURM_ARRAY_TASK_MIN + 1)) -ne "$tasks" ]; then
    echo "an array without gaps is expected, such as --array=1-50: with gaps, lines would be left out" >&2
    exit 2
fi
[ -r "$list" ] || { echo "$list cannot be read" >&2; exit 2; }
awk -v task="$task" -v tasks="$tasks" 'NR % tasks == task % tasks' "$list" | {
    failed=0
    while IFS= read -r command; do
        sh -c "$command" </dev/null >/dev/null || {
            echo "failed: $command" >&2
            failed=1
        }
    done
    exit $failed
}
