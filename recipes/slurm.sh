#!/bin/bash
# One run on many nodes of a Slurm cluster: every task of an array works on a part of the problems, then one job merges.
# Copy this file, fit the #SBATCH lines, the merge's resources and the environment to your cluster, and run it on the
# login node with the arguments of `mathsynth generate`. RUN must be on a file system that all nodes share.
#
#     RUN=/shared/runs/big SHARDS=8 bash slurm.sh my.yaml --set sample.k=8
#
# A task that ends early and in order (exit 3: time limit, preemption, a server that is gone) puts itself back in the
# queue and goes on where it stopped; so does one whose node died (--requeue). Nothing is asked twice. A task that fails
# otherwise holds back the merge: mend it, then `RUN=… SHARDS=8 sbatch --array=3 slurm.sh my.yaml …`, and at the end
# `mathsynth merge RUN`. A recipe with a step that needs all rows before sample (dedupe-problems in augment.yaml) takes
# two rounds: this with UNTIL=dedupe-problems first, then again without.
#
#SBATCH --job-name=mathsynth
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@180

set -u
: "${RUN:?the run directory, on a file system that all nodes share}" "${SHARDS:=8}" "${UNTIL:=}"

if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    export RUN SHARDS UNTIL
    array=$(sbatch --parsable --array="0-$((SHARDS - 1))" "$0" "$@") || exit
    exec sbatch --dependency="afterok:${array%%;*}" --job-name=mathsynth-merge --cpus-per-task=8 --time=24:00:00 \
        --requeue --wrap "mathsynth merge '$RUN' ${UNTIL:+--until '$UNTIL'}"
fi

# Slurm tells this shell alone of the coming end; the run wants to hear of it too, and then takes up to 30 s.
pid='' told=yes
trap 'told=yes; [ -z "$pid" ] || kill -TERM "$pid"' TERM
mathsynth generate "$@" -o "$RUN" --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" ${UNTIL:+--until "$UNTIL"} &
pid=$!
while [ -n "$told" ]; do # a signal ends `wait` before the run has ended
    told=''
    wait "$pid"
    code=$?
done
if [ "$code" -eq 3 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
