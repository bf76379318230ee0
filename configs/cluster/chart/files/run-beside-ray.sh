# A process can use a Ray only from one of Ray's nodes, so that this container is one, without CPUs for tasks. When Ray is lost,
# the runner stays, its jobs wait, and the node joins again.
join() {
  while true; do
    ray start --address="$BRINK_RAY_ADDRESS" --num-cpus=0 --object-store-memory="$RAY_OBJECT_STORE_BYTES" \
      --disable-usage-stats --block || true
    sleep 5
  done
}
join &
brink runner &
runner=$!
trap 'kill -TERM "$runner"' TERM INT
status=0
while kill -0 "$runner" 2>/dev/null; do
  wait "$runner" && status=0 || status=$?
done
exit "$status"
